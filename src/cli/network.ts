// Network access with the environment's proxy settings; loads undici only when used.
import { SafeLoraError } from '../core/errors';
import { type Fetch } from '../network/requests';

export interface Line {
  fetch: Fetch;
  /** Closes idle connections. */
  close: () => Promise<void>;
}

export function openLine(): Line {
  let opened: Promise<{ fetch: Fetch; destroy: () => Promise<void> }> | undefined;
  return {
    fetch: async (url, init) => (await (opened ??= open())).fetch(url, init),
    close: async () => {
      await (await opened)?.destroy();
    },
  };
}

async function open(): Promise<{ fetch: Fetch; destroy: () => Promise<void> }> {
  // Node's own fetch ignores proxy settings.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const agent = makeAgent(() => new EnvHttpProxyAgent());
  return { fetch: (url, init) => fetch(url, { ...init, dispatcher: agent }), destroy: () => agent.destroy() };
}

/** Undici 6, the last that supports every Node 20, warns that this agent is experimental; undici 7 does not. */
function makeAgent<T>(make: () => T): T {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return make();
  } catch (cause) {
    // Omits the value, which may contain a password.
    throw unsupportedProxy(cause);
  } finally {
    process.emitWarning = emitWarning;
  }
}

function unsupportedProxy(cause: unknown): SafeLoraError {
  return new SafeLoraError(
    'download-failed',
    'The proxy that HTTPS_PROXY or HTTP_PROXY names is not one that is supported; give it as http://HOST:PORT or https://HOST:PORT, or unset it.',
    { cause },
  );
}
