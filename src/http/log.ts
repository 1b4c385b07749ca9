import {randomUUID} from 'node:crypto';
import {hideSecrets} from '../core/redact.ts';
import type {Logger} from '../log.ts';
import type {HttpMetrics, Middleware} from './context.ts';

/** Gives each request an id, and tells log and metrics how it ended. No query is logged: it could hold a secret. */
export function accessLog(log: Logger, metrics: HttpMetrics | undefined): Middleware {
  return async function logAccess(ctx, next) {
    const started = performance.now();
    ctx.state.requestId = randomUUID();
    ctx.set('X-Request-Id', ctx.state.requestId);
    await next();
    const ms = performance.now() - started;
    const {method, path, status} = ctx;
    const actor = ctx.state.actor;
    metrics?.request(ctx.state.route ?? 'none', method, status, ms / 1_000);
    log.info(
      {
        method,
        path: shortened(path),
        status,
        ms: Math.round(ms * 10) / 10,
        request_id: ctx.state.requestId,
        actor: actor && (actor.kind === 'user' ? actor.id : `${actor.kind}:${actor.name}`),
      },
      'request',
    );
  };
}
const maxPathLength = 300;

/** Every line is searched for secrets as a whole; one that is cut in two would no longer be known for one. */
function shortened(path: string): string {
  return path.length <= maxPathLength ? path : hideSecrets(path).slice(0, maxPathLength);
}
