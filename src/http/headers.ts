// Headers that tell browsers what they may do, and those of a request that must mean one thing only.
import {IncomingMessage, ServerResponse} from 'node:http';
import {Socket} from 'node:net';
import cors from '@koa/cors';
import helmet, {type HelmetOptions} from 'helmet';
import {ChatError} from '../core/errors.ts';
import type {Context, Middleware} from './context.ts';

const preflightSeconds = 600;
const exposed = [
  'Allow',
  'Idempotency-Replayed',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'WWW-Authenticate',
  'X-Request-Id',
];

/** Helmet's rules, but plain http stays as it is: the documentation page is served over it too. */
export function browserRules(): Middleware {
  const headers = helmetHeaders({contentSecurityPolicy: {directives: {upgradeInsecureRequests: null}}});
  return function setBrowserRules(ctx, next) {
    for (const [name, value] of headers) ctx.res.setHeader(name, value);
    return next();
  };
}

/** They are the same for every answer, so that helmet is asked once and not a dozen times for each. */
function helmetHeaders(options: HelmetOptions): [string, string][] {
  const request = new IncomingMessage(new Socket());
  const response = new ServerResponse(request);
  helmet(options)(request, response, (error?: unknown) => {
    if (error) throw error;
  });
  return response.getHeaderNames().map(name => [name, String(response.getHeader(name))]);
}

/** Lets pages of exactly these origins call the API. */
export function originRules(allowed: readonly string[]): Middleware {
  return cors({
    origin: ctx => allowedOrigin(ctx.get('Origin'), allowed),
    maxAge: preflightSeconds,
    exposeHeaders: exposed,
    keepHeadersOnError: true,
  });
}

/** The origin itself when it is in the list, so that it is named back, and nothing otherwise. */
function allowedOrigin(origin: string, allowed: readonly string[]): string {
  const anyPort = origin.replace(/:\d+$/, ':*');
  return allowed.includes(origin) || allowed.includes(anyPort) ? origin : '';
}

/**
 * Refuses what a proxy in front may have understood otherwise. Node keeps the first of several Host headers, and HTTP/1.0 needs
 * none. A body in chunks is one of HTTP/1.1, and Node overlooks a coding that is named before them.
 */
export function mustBeUnambiguous(ctx: Context, next: () => Promise<unknown>): Promise<unknown> {
  const {headersDistinct, httpVersion} = ctx.req;
  const hosts = headersDistinct['host'] ?? [];
  if (hosts.length > 1) throw new ChatError('invalid_input', 'The request has more than one Host header.');
  if (hosts.length === 0 && httpVersion !== '1.0') {
    throw new ChatError('invalid_input', 'The request has no Host header.');
  }
  const coding = ctx.get('Transfer-Encoding');
  if (coding !== '' && (coding.toLowerCase() !== 'chunked' || httpVersion === '1.0')) {
    ctx.set('Connection', 'close');
    throw new ChatError(
      'malformed_request',
      'A body in chunks needs `Transfer-Encoding: chunked` alone, and HTTP/1.1.',
    );
  }
  return next();
}
