// The keys that API tokens are verified with. Each has one algorithm, which its own type decides and a token's header
// never does; each is checked when it is loaded, because the libraries that verify check too little.
import {createPublicKey, createSecretKey, type JsonWebKey, type KeyObject} from 'node:crypto';
import {ChatError} from './errors.ts';
import {shortestSecretBytes} from './secrets.ts';

export const algorithms = ['HS256', 'RS256', 'ES256', 'EdDSA'] as const;
export type Algorithm = (typeof algorithms)[number];

export interface Key {
  /** Where it is from, for people: `JWT_SECRET`, or the setting with the key's id. */
  name: string;
  /** The id by which tokens name it. */
  kid: string | undefined;
  algorithm: Algorithm;
  key: KeyObject;
  /** Seconds since 1970 from which on it counts no more. */
  until?: number | undefined;
}

/** Where a verifier finds keys. */
export interface KeySource {
  /** Those that a token with this header may be signed with, at most a few. Rejects with auth_unavailable. */
  find(algorithm: string, kid: string | undefined): readonly Key[] | Promise<readonly Key[]>;
  /** Whether a key that was found still counts. */
  trusts(key: Key): boolean;
}

const maxKeys = 16;
const kidForm = /^(?!\/)(?!.*\.\.)[\w.~:@+/=-]{1,128}$/;
const rsaBits = {least: 2_048, most: 8_192};
const leastRsaExponent = 65_537n;

export function isKid(value: unknown): value is string {
  return typeof value === 'string' && kidForm.test(value);
}

/** A set that never changes, and where it has nothing that fits, another. */
export function keySource(keys: readonly Key[], more?: KeySource): KeySource {
  const known = new Set(keys);
  return {
    find(algorithm, kid) {
      const found = keys.filter(key => fits(key, algorithm, kid));
      return found.length > 0 || !more ? found : more.find(algorithm, kid);
    },
    trusts: key => known.has(key) || (more?.trusts(key) ?? false),
  };
}

/** A public key out of a PEM file has no id, and stands for whatever its owner calls it. A secret is not called. */
export function fits(key: Key, algorithm: string, kid: string | undefined): boolean {
  if (key.algorithm !== algorithm) return false;
  return kid === undefined || key.kid === kid || (key.kid === undefined && key.algorithm !== 'HS256');
}

export function secretKey(name: string, secret: string, until?: number): Key {
  return {name, kid: undefined, algorithm: 'HS256', key: createSecretKey(secret, 'utf8'), until};
}

/** The public keys of a PEM text, one or several. Throws config_invalid. */
export function keysOfPem(name: string, text: string): Key[] {
  // An environment variable often holds line breaks in this way.
  const pem = text.replaceAll('\\n', '\n');
  if (/PRIVATE KEY/.test(pem)) throw bad(name, 'it holds a private key, and a public key is wanted');
  const blocks = pem.match(/-----BEGIN (RSA )?PUBLIC KEY-----[^-]+-----END (RSA )?PUBLIC KEY-----/g) ?? [];
  if (blocks.length === 0) throw bad(name, 'it holds no public key in PEM form (-----BEGIN PUBLIC KEY-----)');
  return blocks.slice(0, maxKeys).map(block => {
    const key = attempt(() => createPublicKey(block));
    if (!key) throw bad(name, 'it is not a public key that can be read');
    const problem = problemOf(key);
    if (problem) throw bad(name, problem);
    return {name, kid: undefined, algorithm: mustHaveAlgorithm(key), key};
  });
}

/** The keys of a JWK set that an operator wrote. Whatever is wrong with one of them throws config_invalid. */
export function keysOfJwkSet(name: string, text: string): Key[] {
  const {keys, refused} = keysOfSet(
    name,
    attempt(() => JSON.parse(text) as unknown),
  );
  if (refused[0] !== undefined) throw bad(name, refused[0]);
  return keys;
}

export interface KeySet {
  keys: Key[];
  /** Why others of the set are not used, a sentence each. */
  refused: string[];
}

/**
 * The usable keys of a JWK set. A set that others wrote may hold keys for other purposes, which are left out; what
 * makes the whole set doubtful throws config_invalid: private keys, secrets beside public keys, ids that come twice.
 */
export function keysOfSet(name: string, value: unknown): KeySet {
  const jwks = isFields(value) ? value['keys'] : undefined;
  if (!Array.isArray(jwks) || jwks.length === 0 || !jwks.every(isFields)) {
    throw bad(name, 'it is not a JWK set: {"keys": [{"kty": …}, …]}');
  }
  if (jwks.length > maxKeys) throw bad(name, `it holds more than ${maxKeys} keys`);
  const secrets = jwks.filter(({kty}) => kty === 'oct').length;
  if (secrets > 0 && secrets < jwks.length) throw bad(name, 'it mixes secrets (kty oct) and public keys');
  if (jwks.some(jwk => jwk['kty'] !== 'oct' && 'd' in jwk)) throw bad(name, 'it holds a private key');
  const kids = jwks.map(({kid}) => kid).filter(kid => kid !== undefined);
  if (new Set(kids).size < kids.length) throw bad(name, 'it has the same kid twice');
  const set: KeySet = {keys: [], refused: []};
  for (const jwk of jwks) {
    const key = keyOfJwk(name, jwk);
    if (typeof key === 'string') set.refused.push(key);
    else set.keys.push(key);
  }
  return set;
}

type Fields = Record<string, unknown>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The key, or why it cannot be one. */
function keyOfJwk(name: string, jwk: Fields): Key | string {
  const {kid, use, alg, kty, k, key_ops: operations} = jwk;
  if (kid !== undefined && !isKid(kid)) return 'a key has a kid that is not 1 to 128 plain characters';
  const called = kid === undefined ? 'the key without a kid' : `the key ${kid}`;
  if (use !== undefined && use !== 'sig') return `${called} is not for signatures (use)`;
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return `${called} is not for verifying (key_ops)`;
  const key = attempt(() =>
    kty === 'oct' ? createSecretKey(bytesOf(k)) : createPublicKey({key: jwk as JsonWebKey, format: 'jwk'}),
  );
  if (!key) return `${called} cannot be read`;
  const problem = problemOf(key);
  if (problem) return `${called}: ${problem}`;
  const algorithm = mustHaveAlgorithm(key);
  if (alg !== undefined && alg !== algorithm) return `${called} is for another algorithm than ${algorithm} (alg)`;
  return {name: kid === undefined ? name : `${name} ${kid}`, kid, algorithm, key};
}

function bytesOf(k: unknown): Buffer {
  const bytes = Buffer.from(String(k), 'base64url');
  if (bytes.toString('base64url') !== k) throw new Error('not base64url');
  return bytes;
}

/** What a key must not be used for all that it can be read. */
function problemOf(key: KeyObject): string | undefined {
  if (key.type === 'secret') {
    return (key.symmetricKeySize ?? 0) < shortestSecretBytes
      ? `it is shorter than ${shortestSecretBytes} bytes`
      : undefined;
  }
  const {modulusLength = 0, publicExponent = 0n, namedCurve = ''} = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa') {
    if (modulusLength < rsaBits.least || modulusLength > rsaBits.most)
      return `an RSA key of ${modulusLength} bits, where ${rsaBits.least} to ${rsaBits.most} are wanted`;
    return publicExponent < leastRsaExponent || publicExponent % 2n === 0n
      ? 'an RSA key with a weak public exponent'
      : undefined;
  }
  if (key.asymmetricKeyType === 'ec' && namedCurve !== 'prime256v1')
    return `the curve ${namedCurve}, where P-256 is wanted`;
  return algorithmOf(key) === undefined
    ? `the key type ${key.asymmetricKeyType}, where RSA, P-256 or Ed25519 is wanted`
    : undefined;
}

function algorithmOf(key: KeyObject): Algorithm | undefined {
  if (key.type === 'secret') return 'HS256';
  return ({rsa: 'RS256', ec: 'ES256', ed25519: 'EdDSA'} as const)[key.asymmetricKeyType as 'rsa' | 'ec' | 'ed25519'];
}

/** The one algorithm that this key is for. */
export function mustHaveAlgorithm(key: KeyObject): Algorithm {
  const algorithm = algorithmOf(key);
  if (!algorithm) throw new Error(`no algorithm for a key of type ${key.asymmetricKeyType}`);
  return algorithm;
}

function attempt<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}

function bad(name: string, problem: string): ChatError {
  return new ChatError('config_invalid', `${name} cannot be used: ${problem}.`, {
    hint: 'See what each setting takes: chatctl config env',
  });
}
