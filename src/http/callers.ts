// Who sends a request, as far as can be told before anything was done for it: by the token as it came, where a request
// with that token was known lately, else by the address. Tokens can be made up without end, and each would be a caller
// who had nothing yet.
import {hash} from 'node:crypto';
import {addressOf} from './limits.ts';
import type {Context} from './context.ts';

const maxKnown = 50_000;

export interface Callers {
  of(ctx: Context): string;
  /** Who the caller is once that was found out: the request goes on under the name that is answered. */
  known(ctx: Context): string;
}

export function rememberCallers(): Callers {
  const known = new Set<string>();
  return {
    of(ctx) {
      const token = tokenOf(ctx);
      return token !== undefined && known.has(token) ? token : addressOf(ctx.ip);
    },
    known(ctx) {
      const token = tokenOf(ctx);
      if (token === undefined || ctx.state.actor === undefined) return addressOf(ctx.ip);
      // The newest is the last to go.
      known.delete(token);
      known.add(token);
      const [oldest] = known;
      if (known.size > maxKnown && oldest !== undefined) known.delete(oldest);
      return token;
    },
  };
}

/** As a hash, which is short and tells nothing. */
function tokenOf(ctx: Context): string | undefined {
  // The scheme can be written in many ways, and the token in one.
  const token = ctx.req.headers.authorization?.replace(/^bearer +/i, '');
  return token && hash('sha256', token, 'base64url');
}
