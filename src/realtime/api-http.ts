// The server API over HTTP: who may call it, both ways to tell an error, and the health check.
import {createHash, timingSafeEqual} from 'node:crypto';
import type {IncomingMessage, ServerResponse} from 'node:http';
import {callMethod, Undecodable} from './api.ts';
import {CommandError, errors} from './codes.ts';
import {isFields, type Fields} from './fields.ts';
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
  const method = /^\/api\/([a-z_]+)$/.exec(path)?.[1];
  if (method === undefined) {
    return answer(response, 404, plain, 'not served by the embedded endpoint, use Centrifugo\n');
  }
  if (request.method !== 'POST') return answer(response, 405, {}, '');
  if (!isAuthorised(hub.settings.apiKey, request, query)) return answer(response, 401, {}, '');
  const body = parse(await read(request));
  if (!body) return answer(response, 400, plain, 'Bad Request\n');
  call(hub, method, body, request, response);
}

function call(hub: Hub, method: string, body: Fields, request: IncomingMessage, response: ServerResponse): void {
  try {
    const result = callMethod(hub, method, body);
    if (result === undefined) return answer(response, 404, plain, '404 page not found\n');
    answer(response, 200, json, method === 'batch' ? result : `{"result":${result}}`);
  } catch (error) {
    if (error instanceof Undecodable) return answer(response, 400, plain, 'Bad Request\n');
    const {code, message} = error instanceof CommandError ? error.error : errors.internal;
    if (request.headers['x-centrifugo-error-mode'] === 'transport') {
      return answer(response, statuses[code] ?? 500, json, JSON.stringify({code, message}));
    }
    answer(response, 200, json, JSON.stringify({error: {code, message}}));
  }
}

/** `X-API-Key`; where that header is absent `Authorization: apikey …`; and `?api_key=` beside either. */
function isAuthorised(key: string | undefined, request: IncomingMessage, query: URLSearchParams): boolean {
  if (!key) return false;
  const header = request.headers['x-api-key'];
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

function parse(text: string): Fields | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function answer(response: ServerResponse, status: number, headers: Record<string, string>, body: string): void {
  response.writeHead(status, headers).end(body);
}
