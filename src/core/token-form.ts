// A token as text: what can be refused before any key is touched.
import {isUtf8} from 'node:buffer';
import {ChatError} from './errors.ts';
import {isKid} from './keys.ts';

const maxTokenLength = 8_192;

export type Fields = Record<string, unknown>;

export interface ParsedToken {
  token: string;
  header: Fields;
  payload: Fields;
  algorithm: string;
  kid: string | undefined;
}

/**
 * Three base64url parts of bounded length, in the one way that they can be written, with JSON objects in the first two.
 * Of the header only `alg`, `kid` and `typ` are ever read: a key that a token brings along or points to is none.
 */
export function parseToken(token: string): ParsedToken {
  if (token.length > maxTokenLength) throw invalidToken(`is longer than ${maxTokenLength} characters`);
  const [head, body, signature, ...rest] = token.split('.').map(canonicalBytes);
  if (!head || !body || !signature || rest.length > 0) {
    throw invalidToken('is not a JWT: it needs three base64url parts');
  }
  const header = parseObject(head);
  if (!header) throw invalidToken('has a header that is not a JSON object');
  if ('crit' in header || 'b64' in header) throw invalidToken('has a `crit` or `b64` header, which is not supported');
  const {alg, kid} = header;
  if (typeof alg !== 'string') throw invalidToken('has no `alg` header');
  if (kid !== undefined && !isKid(kid)) throw invalidToken('has a `kid` header that cannot be one');
  const payload = parseObject(body);
  if (!payload) throw invalidToken('has a payload that is not a JSON object');
  return {token, header, payload, algorithm: alg, kid};
}

/** The bytes, or undefined when this is not the one way to write them. */
function canonicalBytes(part: string): Buffer | undefined {
  const bytes = Buffer.from(part, 'base64url');
  return part !== '' && bytes.toString('base64url') === part ? bytes : undefined;
}

function parseObject(bytes: Buffer): Fields | undefined {
  if (!isUtf8(bytes)) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

export function invalidToken(problem: string): ChatError {
  return new ChatError('invalid_token', `The token ${problem}.`);
}
