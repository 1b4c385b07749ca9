import test from 'ava';
import jwt from 'jsonwebtoken';
import {apiToken, serviceToken, testSecrets} from '../helpers/chat.ts';
import {ask, startApi} from '../helpers/http.ts';

const alice = apiToken('alice');

function claimsOf(token: unknown): Record<string, unknown> {
  const claims = jwt.verify(String(token), testSecrets.CENTRIFUGO_TOKEN_SECRET, {algorithms: ['HS256']});
  if (typeof claims === 'string') throw new Error(claims);
  return claims;
}

const foreign = {
  'another user’s': 'personal:bob',
  'no user’s': 'personal:',
  'one that begins with one’s own': 'personal:alice2',
  'one that one’s own begins with': 'personal:alic',
  'one’s own in upper case': 'PERSONAL:ALICE',
  'one’s own with a space': 'personal:alice ',
  'one’s own with a second name': 'personal:alice,bob',
  'one’s own and a user list': 'personal:alice#bob',
  'a private one': '$personal:alice',
  'one with two colons': 'personal::alice',
  'a room’s': 'room:1',
  'one of 300 characters': `personal:${'a'.repeat(300)}`,
  'one in another script': 'personal:аlice',
};
for (const [title, channel] of Object.entries(foreign)) {
  test(`E69, T3: no subscription token for a channel that is ${title}`, async t => {
    const api = await startApi(t, 'sqlite');
    const query = `?channel=${encodeURIComponent(channel)}`;
    const answer = await ask(api, alice, 'GET', `/api/token/subscription/${query}`);
    t.is(answer.status, 403);
    t.is(answer.at('detail'), 'permission denied');
  });
}

for (const query of ['', '?channel=', '?channel=personal:alice&channel=personal:alice', '?channel[]=personal:alice']) {
  test(`E69: no subscription token without one channel: "${query}"`, async t => {
    const api = await startApi(t, 'sqlite');
    const answer = await ask(api, alice, 'GET', `/api/token/subscription/${query}`);
    t.is(answer.status, 400);
    t.true(['required', 'too_short', 'wrong_type'].includes(String(answer.at('code'))), answer.text);
  });
}

test('the service gets no tokens of a client', async t => {
  const api = await startApi(t, 'sqlite');
  t.is((await ask(api, serviceToken(), 'GET', '/api/token/connection/')).status, 403);
  t.is((await ask(api, serviceToken(), 'GET', '/api/token/subscription/?channel=personal:primary')).status, 403);
});

test('a connection token is the user’s for 120 seconds', async t => {
  const api = await startApi(t, 'sqlite');
  const answer = await ask(api, alice, 'GET', '/api/token/connection/');
  t.deepEqual(Object.keys(answer.body), ['token']);
  const {sub, exp, iat, ...more} = claimsOf(answer.at('token'));
  t.is(sub, 'alice');
  t.is(Number(exp) - Number(iat), 120);
  t.true(Math.abs(Number(iat) - Date.now() / 1_000) < 30);
  t.deepEqual(more, {});
  t.is(answer.headers.get('cache-control'), 'no-store');
});

test('a subscription token is for one’s own channel for 300 seconds', async t => {
  const api = await startApi(t, 'sqlite');
  const answer = await ask(api, alice, 'GET', '/api/token/subscription/?channel=personal:alice');
  t.deepEqual(Object.keys(answer.body), ['token']);
  const {sub, channel, exp, iat, ...more} = claimsOf(answer.at('token'));
  t.is(sub, 'alice');
  t.is(channel, 'personal:alice');
  t.is(Number(exp) - Number(iat), 300);
  t.deepEqual(more, {});
});
