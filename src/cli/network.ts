// The line to the network that the environment's proxy settings make; undici is loaded for those who use it only.
import { type Fetch } from '../network/requests';

export interface Line {
  fetch: Fetch;
  /** Ends the connections that stay open. */
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
  // Node's own fetch minds no proxy settings.
  const { EnvHttpProxyAgent, fetch } = await import('undici');
  const agent = withoutWarnings(() => new EnvHttpProxyAgent());
  return { fetch: (url, init) => fetch(url, { ...init, dispatcher: agent }), destroy: () => agent.destroy() };
}

/** Undici 6, the last that takes every Node 20, warns that this agent is experimental; undici 7 does so no longer. */
function withoutWarnings<T>(make: () => T): T {
  const emitWarning = process.emitWarning.bind(process);
  process.emitWarning = () => undefined;
  try {
    return make();
  } finally {
    process.emitWarning = emitWarning;
  }
}
