// The editor's line to the network.
import { type Fetch } from '../../network/requests';

/** The editor's own, which minds its proxy settings: looked up at each call, since the editor puts it in place. */
export const editorFetch: Fetch = (url, init) => globalThis.fetch(url, init);
