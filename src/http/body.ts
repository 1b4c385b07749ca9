// A request's body as a JSON object. koa-bodyparser reads and parses it; what it lets pass is checked here.
import bodyParser from 'koa-bodyparser';
import {brotliDecompressSync, unzipSync} from 'node:zlib';
import {ChatError} from '../core/errors.ts';
import type {Context} from './context.ts';

export const bodyLimit = 64 * 1_024;
/** For 10,000 user ids of up to 200 characters. */
export const bulkBodyLimit = 4 * 1_048_576;
const maxDepth = 32;

const parsers = new Map(
  [bodyLimit, bulkBodyLimit].map(limit => [
    limit,
    bodyParser({enableTypes: ['json'], jsonLimit: `${limit}b`, strict: false}),
  ]),
);

/** Reads the body, or throws what is wrong with it: never more than `limit` bytes are kept. */
export async function readBody(ctx: Context, limit: number): Promise<unknown> {
  // As koa reads it, and the parser with it, a length keeps its lowest 32 bits.
  const length = Number(ctx.get('Content-Length'));
  if (length === 0 && ctx.get('Transfer-Encoding') === '') throw bodyRequired();
  mustBeJson(ctx);
  if (length > limit) ctx.throw(413);
  const chunks: Buffer[] = [];
  ctx.req.on('data', (chunk: Buffer) => chunks.push(chunk));
  try {
    const read = async () => parsers.get(limit)?.(ctx, () => Promise.resolve());
    await (ctx.state.withoutPlace ? ctx.state.withoutPlace(read) : read());
  } catch (cause) {
    throw cause instanceof ChatError ? cause : bodyError(cause);
  }
  const {body, rawBody} = ctx.request as {body?: unknown; rawBody?: string};
  // The parser did not know the type after all: a parameter of it cannot be read.
  if (rawBody === undefined) throw notJson();
  if (rawBody.trim() === '') throw bodyRequired();
  if (rawBody.includes('\uFFFD')) mustBeUtf8(decompressed(Buffer.concat(chunks), ctx.get('Content-Encoding'), limit));
  mustBeShallow(body);
  return body;
}

function bodyRequired(): ChatError {
  return new ChatError('body_required', 'The request needs a JSON object as its body.');
}

function mustBeJson(ctx: Context): void {
  const [type = '', ...parameters] = ctx.get('Content-Type').toLowerCase().split(';');
  const charsets = parameters.map(each => each.trim()).filter(each => each.startsWith('charset'));
  const utf8 = charsets.every(each => /^charset="?utf-?8"?$/.test(each));
  if (type.trim() !== 'application/json' || !utf8) throw notJson();
}

function notJson(): ChatError {
  return new ChatError(
    'unsupported_media_type',
    'The body must be JSON in UTF-8: send `Content-Type: application/json`.',
  );
}

/** What the parser refuses and says with a status; what has none is about the bytes, such as a broken gzip. */
function bodyError(cause: unknown): unknown {
  const status = cause instanceof Error && 'status' in cause ? cause.status : undefined;
  if (typeof status === 'number' && status !== 500) return cause;
  return new ChatError('invalid_encoding', 'The body is not encoded as its headers say.', {cause});
}

/** The text has a replacement character: it was sent so, or bytes that are not UTF-8 became it. */
function mustBeUtf8(bytes: Buffer): void {
  try {
    new TextDecoder('utf-8', {fatal: true}).decode(bytes);
  } catch (cause) {
    throw new ChatError('invalid_encoding', 'The body is not valid UTF-8.', {cause});
  }
}

function decompressed(bytes: Buffer, encoding: string, maxOutputLength: number): Buffer {
  if (encoding === 'gzip' || encoding === 'deflate') return unzipSync(bytes, {maxOutputLength});
  return encoding === 'br' ? brotliDecompressSync(bytes, {maxOutputLength}) : bytes;
}

function mustBeShallow(body: unknown): void {
  let level: unknown[] = [body];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) throw new ChatError('too_deep', `The body is nested deeper than ${maxDepth} levels.`);
    level = level.flatMap(value => (typeof value === 'object' && value !== null ? Object.values(value) : []));
  }
}
