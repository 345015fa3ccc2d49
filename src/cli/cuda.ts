// safe-lora install-cuda: installs or removes the CUDA provider, and lists what else is missing.
import { bytesText } from '../core/bytes';
import { feedIndex } from '../cuda/feed';
import { findOffer, installFromArchive, installFromFeed, remove } from '../cuda/install';
import { cudaFolder, type CudaState, cudaState, librariesFolder, providerFolder } from '../cuda/state';
import { type Network } from '../network/requests';
import { type CudaArguments } from './arguments';
import { openLine } from './network';
import { StatusLine, type Terminal } from './terminal';

export interface CudaInstall extends CudaArguments {
  storage: string;
  onnxruntime: string;
  signal: AbortSignal;
  terminal: Terminal;
}

/** @throws SafeLoraError, or the signal's reason */
export async function installCuda({
  archive,
  removes,
  storage,
  onnxruntime,
  signal,
  terminal,
}: CudaInstall): Promise<void> {
  const target = { storage, version: onnxruntime };
  if (removes) {
    const folder = cudaFolder(storage);
    terminal.print([(await remove(storage)) ? `removed  ${folder}` : `nothing to remove in ${folder}`]);
    return;
  }
  const folder = archive === undefined ? await fromFeed() : await installFromArchive(target, archive, signal);
  terminal.print([`installed  ${folder}`, ...stateLines(storage, await cudaState(storage, onnxruntime))]);

  async function fromFeed(): Promise<string> {
    const { fetch, close } = openLine();
    const network: Network = { fetch, signal, onWait: terminal.notice };
    const line = new StatusLine(terminal);
    try {
      const offer = await findOffer(target, network, feedIndex(process.env));
      terminal.print([
        `${bytesText(offer.size)} from ${new URL(offer.url).host} into ${providerFolder(storage, onnxruntime)}`,
      ]);
      return await installFromFeed(target, network, offer, (done, total) => {
        line.show(`${bytesText(done)} of ${bytesText(total)}, ${Math.floor((100 * done) / total)} %`);
      });
    } finally {
      line.clear();
      await close();
    }
  }
}

/** Describes what is installed and what is missing. */
function stateLines(storage: string, state: CudaState): string[] {
  switch (state.state) {
    case 'unsupported':
      return [state.reason];
    case 'absent':
      return ['the CUDA provider is not installed: safe-lora install-cuda'];
    case 'ready':
      return [`all ${state.libraries.length} libraries that it needs are installed`];
    case 'incomplete':
      return [
        'CUDA cannot run yet; the provider also needs',
        ...state.missing.map(({ name, advice }) => `  ${name}  ${advice}`),
        ...(state.command === null ? [] : [`All that pip brings: ${state.command}`]),
        `Libraries that you have elsewhere are found on LD_LIBRARY_PATH or in ${librariesFolder(storage)}`,
      ];
  }
}
