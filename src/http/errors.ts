// Errors as problem details (RFC 9457). The only file that knows which status a kind of error has.
import {databaseError} from '../core/database-errors.ts';
import {ChatError, type ErrorCode, type ErrorKind} from '../core/errors.ts';
import type {Logger} from '../log.ts';
import type {Context, Middleware} from './context.ts';

export const statuses: Record<ErrorKind, {status: number; title: string}> = {
  invalid: {status: 400, title: 'Bad request'},
  unauthenticated: {status: 401, title: 'Not authenticated'},
  denied: {status: 403, title: 'Not permitted'},
  not_found: {status: 404, title: 'Not found'},
  method: {status: 405, title: 'Method not allowed'},
  timeout: {status: 408, title: 'Request timeout'},
  conflict: {status: 409, title: 'Conflict'},
  too_large: {status: 413, title: 'Too large'},
  unsupported: {status: 415, title: 'Unsupported media type'},
  limited: {status: 429, title: 'Too many requests'},
  headers_too_large: {status: 431, title: 'Headers too large'},
  internal: {status: 500, title: 'Internal error'},
  unavailable: {status: 503, title: 'Unavailable'},
};

export const retryAfterSeconds = 1;

/** Outermost of all, so that errors of other middleware are told the same way. */
export function problems(log: Logger): Middleware {
  return async function tellProblem(ctx, next) {
    try {
      await next();
    } catch (cause) {
      const error = toChatError(cause);
      if (error.kind === 'internal') log.error({err: cause, request_id: ctx.state.requestId}, 'request failed');
      writeProblem(ctx, error);
    }
  };
}

function writeProblem(ctx: Context, error: ChatError): void {
  const {status} = statuses[error.kind];
  if (status === 401) {
    ctx.set('WWW-Authenticate', error.code === 'unauthenticated' ? 'Bearer' : 'Bearer error="invalid_token"');
  }
  // The limits say themselves how long.
  const wait = !ctx.res.hasHeader('Retry-After') && (status === 503 || status === 429);
  if (wait) ctx.set('Retry-After', String(retryAfterSeconds));
  ctx.status = status;
  ctx.body = problemText(error, ctx.state.requestId);
  ctx.type = problemType;
}

export const problemType = 'application/problem+json';

/** The body of the refusal; `detail` where it is told again, with times that have moved on. */
export function problemText(error: ChatError, requestId: string, detail = error.message): string {
  const {status, title} = statuses[error.kind];
  return JSON.stringify({
    type: `urn:chatctl:problem:${error.code}`,
    title,
    status,
    detail,
    code: error.code,
    ...(error.fields.length > 0 && {errors: error.fields}),
    request_id: requestId,
  });
}

function toChatError(cause: unknown): ChatError {
  if (cause instanceof ChatError) return cause;
  const status = cause instanceof Error && 'status' in cause ? cause.status : undefined;
  const told = typeof status === 'number' ? ofStatus[status] : undefined;
  if (told) return new ChatError(told[0], told[1], {cause});
  const ofDatabase = databaseError(cause);
  if (ofDatabase) return ofDatabase;
  return new ChatError('internal', 'Something went wrong here. The request id finds it in the log.', {cause});
}

/** Errors of koa and the body parser, which speak in statuses. */
const ofStatus: Record<number, [ErrorCode, string]> = {
  400: ['invalid_json', 'The body is not valid JSON.'],
  413: ['too_large', 'The body is too large.'],
  415: ['unsupported_media_type', 'The body’s encoding is not supported.'],
};
