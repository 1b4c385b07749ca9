// Signatures of tokens: jsonwebtoken for HS256, RS256 and ES256, jose for EdDSA, which jsonwebtoken does not know.
// Keys are KeyObjects made once: with a string jsonwebtoken takes about 40 times as long for each token.
import {createPrivateKey, type JsonWebKey, type KeyObject} from 'node:crypto';
import jwt from 'jsonwebtoken';
import {isKid, mustHaveAlgorithm, type Algorithm, type Key} from './keys.ts';

/** Loaded where a key of EdDSA is used, which most have not: it is a fifth of what a command takes that mints a token. */
const jose = () => import('jose');

/** Whether this key signed the token with its own algorithm; what the token claims is not looked at. */
export function isSignedBy(token: string, {key, algorithm}: Key): boolean | Promise<boolean> {
  if (algorithm === 'EdDSA') {
    return jose()
      .then(({compactVerify}) => compactVerify(token, key, {algorithms: [algorithm]}))
      .then(
        () => true,
        () => false,
      );
  }
  try {
    jwt.verify(token, key, {algorithms: [algorithm], ignoreExpiration: true, ignoreNotBefore: true});
    return true;
  } catch {
    return false;
  }
}

/** What tokens are signed with: a secret, or a private key. */
export interface SigningKey {
  algorithm: Algorithm;
  key: KeyObject;
  kid: string | undefined;
}

export async function signToken({algorithm, key, kid}: SigningKey, payload: object, typ = 'JWT'): Promise<string> {
  const header = {alg: algorithm, typ, ...(kid === undefined ? {} : {kid})};
  if (algorithm !== 'EdDSA') return jwt.sign(payload, key, {algorithm, header});
  const {CompactSign} = await jose();
  return new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader(header).sign(key);
}

/** A private key in PEM form, or as a JWK with its `kid`. Undefined when it is neither, or of no use here. */
export function parsePrivateKey(text: string): SigningKey | undefined {
  try {
    if (!text.trim().startsWith('{')) {
      const key = createPrivateKey(text.replaceAll('\\n', '\n'));
      return {algorithm: mustHaveAlgorithm(key), key, kid: undefined};
    }
    const jwk = JSON.parse(text) as JsonWebKey & {kid?: unknown};
    const key = createPrivateKey({key: jwk, format: 'jwk'});
    return {algorithm: mustHaveAlgorithm(key), key, kid: isKid(jwk.kid) ? jwk.kid : undefined};
  } catch {
    return undefined;
  }
}
