// The editor's network access.
import { type Fetch } from '../../network/requests';

/** The editor's own fetch, which honours its proxy settings: looked up at each call, since the editor replaces it. */
export const editorFetch: Fetch = (url, init) => globalThis.fetch(url, init);
