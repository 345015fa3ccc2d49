// A NuGet feed (https://learn.microsoft.com/nuget/api/overview): a package's URL, size and hash.
import { isObject } from '../core/objects';
import {
  type Network,
  parsedObject,
  readBytes,
  request,
  RequestFailure,
  requireStatus,
  shownUrl,
  withRetries,
} from '../network/requests';
import { type ProviderPackage } from './package';

const NUGET_INDEX = 'https://api.nuget.org/v3/index.json';

/** The index of a mirror, if the environment names one. */
export const feedIndex = ({ SAFE_LORA_NUGET_INDEX: index }: NodeJS.ProcessEnv): string =>
  index === undefined || index === '' ? NUGET_INDEX : index;

export interface Offer {
  url: string;
  /** In bytes. */
  size: number;
  /** SHA-512 in base64, from the feed's catalog and not from the package's server. */
  sha512: string;
}

/** The index of nuget.org has 10 kB, a catalog entry with all its files 100 kB. */
const MAX_JSON_BYTES = 10_000_000;
/** The package of onnxruntime 1.30 has about 250 MB. */
const MAX_PACKAGE_BYTES = 4_000_000_000;

/** @throws RequestFailure, or the signal's reason */
export async function findPackage(network: Network, index: string, { id, version }: ProviderPackage): Promise<Offer> {
  const resources = (await getJson(network, index)).resources;
  const service = (type: RegExp): string => {
    const found = (Array.isArray(resources) ? resources : []).filter(isObject).find(({ '@type': is, '@id': url }) => {
      return typeof is === 'string' && type.test(is) && typeof url === 'string';
    });
    if (!found) throw new RequestFailure(shownUrl(index), 'is not the index of a NuGet v3 feed', false);
    return (found['@id'] as string).replace(/\/*$/, '/');
  };
  const [name, number] = [id.toLowerCase(), version.toLowerCase()];
  const url = `${service(/^PackageBaseAddress\/3/)}${name}/${number}/${name}.${number}.nupkg`;
  const leafUrl = `${service(/^RegistrationsBaseUrl(?:\/3|$)/)}${name}/${number}.json`;
  const leaf = await getJson(network, leafUrl);
  // nuget.org gives the entry's URL here; other feeds include the entry itself.
  const { entry, entryUrl } =
    typeof leaf.catalogEntry === 'string'
      ? { entry: await getJson(network, leaf.catalogEntry), entryUrl: leaf.catalogEntry }
      : { entry: isObject(leaf.catalogEntry) ? leaf.catalogEntry : {}, entryUrl: leafUrl };
  const { packageHash, packageHashAlgorithm, packageSize } = entry;
  if (packageHashAlgorithm !== 'SHA512' || typeof packageHash !== 'string' || !/^[\w+/]{86}==$/.test(packageHash))
    throw new RequestFailure(
      shownUrl(entryUrl),
      `gives no SHA-512 for ${id} ${version}, so nothing is installed`,
      false,
    );
  if (!Number.isInteger(packageSize) || Number(packageSize) < 1 || Number(packageSize) > MAX_PACKAGE_BYTES)
    throw new RequestFailure(shownUrl(entryUrl), `gives no valid size for ${id} ${version}`, false);
  return { url, size: Number(packageSize), sha512: packageHash };
}

function getJson(network: Network, url: string): Promise<Record<string, unknown>> {
  return withRetries(network, () =>
    request(network, url, { accept: 'application/json' }, async (reply, alive) => {
      requireStatus(url, reply, 200);
      const bytes = await readBytes(reply, MAX_JSON_BYTES, alive);
      if (bytes === null) throw new RequestFailure(shownUrl(url), 'is too large for an index', false);
      const value = parsedObject(bytes);
      if (value === null) throw new RequestFailure(shownUrl(url), 'did not return JSON', false);
      return value;
    }),
  );
}
