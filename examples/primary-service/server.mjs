// A primary service in one file: it owns the users, signs their tokens, publishes its public key and says which tokens
// are still good. Nothing but Node; the password is the same for all, because passwords are not what this shows.
//
//   node examples/primary-service/server.mjs
//   JWT_JWKS_URL=http://localhost:9100/.well-known/jwks.json AUTH_VERIFY_URL=http://localhost:9100/auth/verify \
//     npx chatctl dev
import {generateKeyPairSync, randomUUID, sign, verify} from 'node:crypto';
import {createServer} from 'node:http';

const {PORT = '9100', HOST = '127.0.0.1', CHAT_URL = 'http://localhost:9000', PASSWORD = 'demo'} = process.env;
const tokenSeconds = 3_600;

// A real service keeps its key; this one makes one at each start.
const {privateKey, publicKey} = generateKeyPairSync('ed25519');
const kid = randomUUID();
const jwks = {keys: [{...publicKey.export({format: 'jwk'}), kid, use: 'sig', alg: 'EdDSA'}]};

/** The users by id; a deactivated one stays known. */
const users = new Map();

const encode = value => Buffer.from(JSON.stringify(value)).toString('base64url');

function signToken(claims) {
  const now = Math.floor(Date.now() / 1_000);
  const signed = `${encode({alg: 'EdDSA', typ: 'JWT', kid})}.${encode({...claims, iat: now, exp: now + tokenSeconds})}`;
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString('base64url')}`;
}

/** The subject of a token that we signed and that has not ended, or undefined. */
function subjectOf(token) {
  const [head, body, signature = ''] = token.split('.');
  if (!verify(null, Buffer.from(`${head}.${body}`), publicKey, Buffer.from(signature, 'base64url'))) return undefined;
  const {sub, exp} = JSON.parse(Buffer.from(body, 'base64url').toString());
  return exp > Date.now() / 1_000 ? sub : undefined;
}

/** Our own token for the chat: its scope lets it manage rooms, members and users. */
const serviceToken = () => signToken({sub: 'primary-service', scope: 'chat:admin'});

/** Asks the chat as its primary service. */
async function chat(method, path, body) {
  const headers = {authorization: `Bearer ${serviceToken()}`, 'content-type': 'application/json'};
  const answer = await fetch(`${CHAT_URL}${path}`, {method, headers, ...(body && {body: JSON.stringify(body)})});
  return [answer.status, answer.status === 204 ? {} : await answer.json()];
}

const routes = {
  async 'POST /login'({id, name = id, password}) {
    if (password !== PASSWORD || !/^[a-z0-9]{1,50}$/.test(id)) return [401, {error: 'wrong name or password'}];
    if (!users.has(id)) {
      users.set(id, {active: true});
      // So that others see the name before the user's first request. A token's `name` would make it known with that.
      await chat('PUT', `/api/users/${id}/`, {username: name});
    }
    return users.get(id).active ? [200, {token: signToken({sub: id, name})}] : [403, {error: 'deactivated'}];
  },

  'GET /.well-known/jwks.json': () => [200, jwks],

  // The chat asks with the caller's own header. 401 says no; what is not 200, 401 or 403 lets nobody in either.
  'POST /auth/verify'(_, request) {
    const sub = subjectOf((request.headers.authorization ?? '').replace(/^Bearer /i, ''));
    if (sub === 'primary-service') return [200, {sub}];
    return users.get(sub)?.active ? [200, {sub, active: true}] : [401, {error: 'not good any more'}];
  },

  // Who is deactivated gets no new token, and the chat is told, so that it refuses the old one at once and hangs up.
  async 'POST /deactivate'({id, password}) {
    if (password !== PASSWORD || !users.has(id)) return [404, {error: 'no such user'}];
    users.get(id).active = false;
    const [status] = await chat('DELETE', `/api/users/${id}/`);
    return [200, {chat: status}];
  },

  // A room for some of our users, made or brought to this by its key, which is a name of ours.
  'POST /rooms'({key, name, members, password}) {
    if (password !== PASSWORD) return [404, {error: 'no such room'}];
    return chat('PUT', `/api/rooms/by-key/${key}/`, {name, members});
  },
};

async function answer(request, response) {
  const route = routes[`${request.method} ${request.url}`];
  let text = '';
  for await (const chunk of request) if ((text += chunk).length > 10_000) break;
  const [status, body] = route ? await route(text ? JSON.parse(text) : {}, request) : [404, {error: 'not found'}];
  response.writeHead(status, {'content-type': 'application/json'}).end(JSON.stringify(body));
}

const server = createServer((request, response) => {
  answer(request, response).catch(() => response.writeHead(400).end());
});
server.listen(Number(PORT), HOST, () => console.log(`primary service on http://${HOST}:${server.address().port}`));
