// The HTTP server around the app: limits of time, headers and connections, and what Node's parser refuses, told as
// problems like everything else.
import {randomUUID} from 'node:crypto';
import {
  createServer,
  STATUS_CODES,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type {Duplex} from 'node:stream';
import {ChatError, type ErrorCode} from '../core/errors.ts';
import {onceAMinute, type Logger} from '../log.ts';
import {problemText, problemType, statuses} from './errors.ts';
import {inPortions} from './portions.ts';

export interface ServerLimits {
  /** From the first byte of a request to the end of its headers, and to its end. */
  headersTimeoutMs: number;
  requestTimeoutMs: number;
  /** A proxy in front must give up an idle connection before this does. */
  keepAliveTimeoutMs: number;
  /** How often requests are looked at that may take too long. */
  checkIntervalMs: number;
  /** More connections than these are closed at once. */
  maxConnections: number;
}

export const serverLimits: ServerLimits = {
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 30_000,
  keepAliveTimeoutMs: 65_000,
  checkIntervalMs: 5_000,
  maxConnections: 10_000,
};
const maxHeaderSize = 16 * 1_024;

/** The server, which does not listen yet. */
export function httpServer(answer: RequestListener, log: Logger, limits: ServerLimits = serverLimits): Server {
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    connectionsCheckingInterval: limits.checkIntervalMs,
    maxHeaderSize,
    insecureHTTPParser: false,
    // The app says it, with a body.
    requireHostHeader: false,
  });
  server.maxConnections = limits.maxConnections;
  // Their bytes bound them. Otherwise Node hides those beyond the two thousandth, a second Host or Authorization with them.
  server.maxHeadersCount = 0;
  const current = new WeakMap<Duplex, ServerResponse>();
  // Otherwise each connection would keep its last one, which the collector moves with whatever lives on.
  function forget(this: ServerResponse): void {
    const {socket} = this.req;
    if (current.get(socket) === this) current.delete(socket);
  }
  const ending = new WeakSet<Duplex>();
  const soon = inPortions(lateAtOnce);
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    current.set(request.socket, response.once('close', forget));
    request.url = originForm(request.url ?? '/');
    answer(request, response);
  };
  server.on('request', serve);
  // An expectation that Node does not know would get an empty 417; it may be ignored.
  server.on('checkExpectation', serve);
  server.on('clientError', (error: Error & {code?: string}, socket: Duplex) => {
    // It comes again for each piece that is read until the socket is ended.
    if (ending.has(socket)) return;
    ending.add(socket);
    // Not the error itself, which holds the bytes that came: a token, as numbers that nobody would find in them.
    log.debug({code: error.code, reason: error.message}, 'request could not be read');
    soon(() => refuse(socket, current.get(socket), refusalOf(error)));
  });
  // Node would close the connection without a word.
  server.on('connect', (_request, socket) => refuse(socket, undefined, new ChatError('malformed_request', noProxy)));
  const {maxConnections} = limits;
  server.on(
    'drop',
    onceAMinute(() => log.warn({max_connections: maxConnections}, 'too many connections: new ones are closed')),
  );
  return server;
}

/**
 * Node finds all that are late at one look: hundreds of slow clients that came together would hold everybody up at once,
 * and again when they come back.
 */
const lateAtOnce = {atOnce: 5, pauseMs: 10};

const noProxy = 'CONNECT asks for a proxy, and this is none.';

/**
 * Path and query of a request's target. To a proxy clients send a whole URL, and some send a fragment too; koa hands both to a
 * parser that throws at some of them and takes `//a@b/path#` for a host.
 */
function originForm(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/#.*$/, '');
  return path.startsWith('/') || path === '*' ? path : `/${path}`;
}

const refusals: Record<string, [ErrorCode, string]> = {
  HPE_HEADER_OVERFLOW: ['headers_too_large', `Request line and headers may have ${maxHeaderSize} bytes together.`],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['too_large', 'The body’s chunk extensions are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request did not arrive in time.'],
};

function refusalOf({code = ''}: {code?: string}): ChatError {
  const [told, message] = refusals[code] ?? ['malformed_request', 'The request is not well-formed HTTP.'];
  return new ChatError(told, message);
}

function refuse(socket: Duplex, response: ServerResponse | undefined, error: ChatError): void {
  if (!socket.writable) return void socket.destroy();
  if (response && !response.writableEnded) {
    // A whole request before the bad bytes gets its answer; one that these bytes belong to cannot.
    if (response.req.complete) return void response.once('finish', () => socket.destroy());
    if (response.headersSent) return void socket.destroy();
  }
  socket.end(refusalText(error), () => socket.destroy());
}

function refusalText(error: ChatError): string {
  const {status} = statuses[error.kind];
  const requestId = randomUUID();
  const body = problemText(error, requestId);
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    `Content-Type: ${problemType}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    'X-Content-Type-Options: nosniff',
    `X-Request-Id: ${requestId}`,
    '',
    body,
  ].join('\r\n');
}
