// Stands for a primary service: answers each path as a test says, over real HTTP, and counts.
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {generateKeyPairSync, sign, type KeyObject} from 'node:crypto';
import type {ExecutionContext} from 'ava';

export type Respond = (request: IncomingMessage, response: ServerResponse) => void;

export interface PrimaryServer {
  url: string;
  requests: IncomingMessage[];
  answer(respond: Respond): void;
}

export async function startPrimary(t: ExecutionContext, first: Respond): Promise<PrimaryServer> {
  let respond = first;
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    request.resume();
    respond(request, response);
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    answer(next) {
      respond = next;
    },
  };
}

export function json(body: unknown, status = 200): Respond {
  return (_, response) => {
    response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(body));
  };
}

export interface TestKey {
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
  jwk: Record<string, unknown>;
  /** A token with these claims and further header fields. */
  token(claims: object, header?: object): string;
}

type Kind = 'RS256' | 'ES256' | 'EdDSA';

export function testKey(kid: string, alg: Kind = 'ES256'): TestKey {
  const {privateKey, publicKey} = pairOf(alg);
  return {
    kid,
    privateKey,
    publicKey,
    jwk: {...publicKey.export({format: 'jwk'}), kid, use: 'sig', alg},
    token: (claims, header = {}) => signedBy(privateKey, {alg, typ: 'JWT', kid, ...header}, claims),
  };
}

function pairOf(alg: Kind): {privateKey: KeyObject; publicKey: KeyObject} {
  if (alg === 'RS256') return generateKeyPairSync('rsa', {modulusLength: 2_048});
  if (alg === 'ES256') return generateKeyPairSync('ec', {namedCurve: 'P-256'});
  return generateKeyPairSync('ed25519');
}

/** Signs by hand, so that a header may say what no library would. */
export function signedBy(key: KeyObject, header: object, claims: object): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${encode(header)}.${encode(claims)}`;
  const hash = key.asymmetricKeyType === 'ed25519' ? null : 'sha256';
  return `${signed}.${sign(hash, Buffer.from(signed), {key, dsaEncoding: 'ieee-p1363'}).toString('base64url')}`;
}
