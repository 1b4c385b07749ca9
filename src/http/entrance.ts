// A flood often comes in heaps: what was held up on its way, by the network or by whoever sends it, is here in one turn of the
// event loop, and everybody else would wait until all of it has been begun. So requests of who asks much are begun a few in a
// turn, and all others as they come. Nobody is refused here, and who asks much is not worse off where nobody else is.
import type {IncomingMessage, RequestListener} from 'node:http';
import {asksMuch} from './lately.ts';
import {inPortions} from './portions.ts';

const atOnce = 4;

export function entrance(begin: RequestListener): RequestListener {
  const soon = inPortions({atOnce});
  const isMuch = asksMuch();
  return (request, response) => {
    const token = presentedToken(request);
    // Health checks are among those without, and the others are refused before much is done for them.
    if (token !== undefined && isMuch(token)) soon(() => begin(request, response));
    else begin(request, response);
  };
}

/** As it came, not verified yet. The scheme can be written in many ways, and the token in one. */
export function presentedToken({headers}: IncomingMessage): string | undefined {
  return headers.authorization?.replace(/^bearer +/i, '');
}
