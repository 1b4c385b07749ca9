// Who has how many requests here. A caller is a token as it came, where one of its requests was known lately, and else an
// address: tokens can be made up without end, and each would be a caller who had nothing yet. A request goes on under its
// token's name once it is found out whose it is.
import {hash} from 'node:crypto';
import {addressOf} from './limits.ts';
import type {Context} from './context.ts';

const maxKnown = 50_000;

export interface Callers {
  /** A request that has come. */
  enter(ctx: Context): Visit;
  /** The requests of this caller that are here. */
  count(caller: string): number;
}

export interface Visit {
  /** By now. */
  caller(): string;
  leave(): void;
}

export function countCallers(): Callers {
  const known = new Set<string>();
  const visits = new Map<string, Set<OpenVisit>>();

  function add(visit: OpenVisit): void {
    const own = visits.get(visit.name);
    if (own) own.add(visit);
    else visits.set(visit.name, new Set([visit]));
  }

  function remove(visit: OpenVisit): void {
    const own = visits.get(visit.name);
    own?.delete(visit);
    if (own?.size === 0) visits.delete(visit.name);
  }

  function settle(visit: OpenVisit): void {
    if (visit.token === undefined || visit.ctx.state.actor === undefined) return;
    remember(known, visit.token);
    if (visit.name === visit.token) return;
    remove(visit);
    visit.name = visit.token;
    add(visit);
  }

  return {
    enter(ctx) {
      const token = tokenOf(ctx);
      const address = addressOf(ctx.ip);
      // Those of this address that were strangers when they came may have been found out since.
      if (token !== undefined && !known.has(token)) visits.get(address)?.forEach(settle);
      const visit = {ctx, token, name: token !== undefined && known.has(token) ? token : address};
      add(visit);
      return {
        caller() {
          settle(visit);
          return visit.name;
        },
        leave() {
          settle(visit);
          remove(visit);
        },
      };
    },
    count: caller => visits.get(caller)?.size ?? 0,
  };
}

interface OpenVisit {
  ctx: Context;
  token: string | undefined;
  name: string;
}

/** The newest is the last to go. */
function remember(known: Set<string>, token: string): void {
  known.delete(token);
  known.add(token);
  const [oldest] = known;
  if (known.size > maxKnown && oldest !== undefined) known.delete(oldest);
}

/** As a hash, which is short and tells nothing. */
function tokenOf(ctx: Context): string | undefined {
  // The scheme can be written in many ways, and the token in one.
  const token = ctx.req.headers.authorization?.replace(/^bearer +/i, '');
  return token && hash('sha256', token, 'base64url');
}
