// The server API over HTTP: who may call it, both ways to tell an error, and the health check.
import {createHash, timingSafeEqual} from 'node:crypto';
import type {IncomingMessage, ServerResponse} from 'node:http';
import {Undecodable, type ApiRequest} from './api-request.ts';
import {findMethod} from './api.ts';
import {CommandError, errors} from './codes.ts';
import {isFields} from './fields.ts';
import type {Hub} from './hub.ts';
import {targetOf} from './target.ts';
import {webSocketPath} from './websockets.ts';

const maxBodyBytes = 64 * 1_048_576;
const plain = {'content-type': 'text/plain; charset=utf-8'};
const json = {'content-type': 'application/json'};

/** Statuses of the transport error mode. */
const statuses: Record<number, number> = {100: 500, 102: 404, 104: 404, 107: 400, 108: 400, 112: 416, 113: 409};

export async function serveApi(hub: Hub, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const {path, query} = targetOf(request);
  if (path === '/health') return answer(response, 200, json, '{}');
  if (path === webSocketPath) {
    return answer(response, 400, {...plain, 'sec-websocket-version': '13'}, 'Bad Request\n');
  }
  if (path.startsWith('/api/')) return answerApi(hub, path.slice('/api/'.length), query, request, response);
  answer(response, 404, plain, 'not served by the embedded endpoint, use Centrifugo\n');
}

async function answerApi(
  hub: Hub,
  name: string,
  query: URLSearchParams,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const method = findMethod(name);
  if (!method) return answer(response, 404, plain, '404 page not found\n');
  if (request.method !== 'POST') return answer(response, 405, {}, '');
  if (!isAuthorised(hub.settings.apiKey, request, query)) return answer(response, 401, {}, '');
  const body = parse(await read(request));
  if (!body) return answer(response, 400, plain, 'Bad Request\n');
  try {
    const result = method(hub, body);
    answer(response, 200, json, name === 'batch' ? result : `{"result":${result}}`);
  } catch (error) {
    answerError(hub, error, request, response);
  }
}

function answerError(hub: Hub, error: unknown, request: IncomingMessage, response: ServerResponse): void {
  if (error instanceof Undecodable) return answer(response, 400, plain, 'Bad Request\n');
  if (!(error instanceof CommandError)) hub.settings.log('a request of the server API failed', error);
  const {code, message} = error instanceof CommandError ? error.error : errors.internal;
  const mode = hub.settings.apiErrorMode ?? request.headers['x-centrifugo-error-mode'];
  if (mode === 'transport') {
    return answer(response, statuses[code] ?? 500, json, JSON.stringify({code, message}));
  }
  answer(response, 200, json, JSON.stringify({error: {code, message}}));
}

/** `X-API-Key`; where that header is absent or empty `Authorization: apikey …`; and `?api_key=` beside either. */
function isAuthorised(key: string | undefined, request: IncomingMessage, query: URLSearchParams): boolean {
  if (!key) return false;
  const header = request.headers['x-api-key'] || undefined;
  const bearer = /^apikey +(.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  const given = header === undefined ? bearer : String(header);
  return isSame(given, key) || isSame(query.get('api_key') ?? undefined, key);
}

/** Compares hashes, so that neither the time nor the length tells anything of the key. */
function isSame(given: string | undefined, key: string): boolean {
  if (given === undefined) return false;
  return timingSafeEqual(hash(given), hash(key));
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBodyBytes) return '';
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

/** Undefined when it is not a request. `null` is an empty one. */
function parse(text: string): ApiRequest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (value === null) return {fields: {}, json: '{}'};
    return isFields(value) ? {fields: value, json: text} : undefined;
  } catch {
    return undefined;
  }
}

function answer(response: ServerResponse, status: number, headers: Record<string, string>, body: string): void {
  response.writeHead(status, headers).end(body);
}
