// T18: keys that change while tokens are verified: by the end of a previous secret, and by a set that is fetched again.
import test from 'ava';
import {apiTokenVerifier, type VerifyApiToken} from '../../src/core/api-token.ts';
import {keySource, secretKey} from '../../src/core/keys.ts';
import {rememberTokens} from '../../src/core/token-cache.ts';
import {mintApiToken} from '../../src/core/tokens.ts';
import {makeSecret} from '../../src/core/secrets.ts';
import {remoteKeys} from '../../src/primary/jwks.ts';
import {ask, startApi} from '../helpers/http.ts';
import {startPrimary, testKey} from '../helpers/primary.ts';

const now = 1_800_000_000;
const rules = {requireExp: true, serviceScope: 'chat:admin'};

test('every token of the old secret is let in until its time is over, and none from then on, kept ones included', async t => {
  const [old, young] = [makeSecret(), makeSecret()];
  const until = now + 100;
  const keys = keySource([secretKey('JWT_SECRET', young), secretKey('JWT_SECRET_PREVIOUS', old, until)]);
  const verify = rememberTokens(apiTokenVerifier({...rules, keys}));
  const tokens = (secret: string) =>
    Array.from({length: 50}, (_, i) => mintApiToken(secret, {sub: `user-${i}`}, 3_600, now).token);
  const [olds, youngs] = [tokens(old), tokens(young)];
  const letIn = async (all: string[], at: number) => {
    const answers = await Promise.allSettled(all.map(token => verify(token, at)));
    return answers.filter(({status}) => status === 'fulfilled').length;
  };
  for (let at = until - 30; at < until; at++) t.is(await letIn(olds, at), 50);
  for (let at = until; at < until + 70; at++) t.is(await letIn(olds, at), 0);
  for (let at = until - 30; at < until + 30; at++) t.is(await letIn(youngs, at), 50);
});

test('the same over REST under load', async t => {
  const [old, young] = [makeSecret(), makeSecret()];
  let verify: VerifyApiToken | undefined;
  const api = await startApi(t, 'sqlite', {
    verifyApiToken: (token, at) => verify?.(token, at) ?? Promise.reject(new Error('too early')),
  });
  const mint = (secret: string) => mintApiToken(secret, {sub: 'alice'}, 60, Math.floor(Date.now() / 1_000) - 10).token;
  const verifyBy = (...secrets: Parameters<typeof keySource>[0]) =>
    rememberTokens(apiTokenVerifier({...rules, keys: keySource(secrets)}));
  // The first request of a server takes long, and on a busy machine nothing of the old secret would be asked in time.
  verify = verifyBy(secretKey('JWT_SECRET', young));
  t.is((await ask(api, mint(young), 'GET', '/api/token/connection/')).status, 200);
  const until = Math.ceil(Date.now() / 1_000) + 3;
  verify = verifyBy(secretKey('JWT_SECRET', young), secretKey('JWT_SECRET_PREVIOUS', old, until));
  const seen = {before: 0, after: 0, young: 0};
  const wrong: string[] = [];

  async function caller(token: string, isOld: boolean): Promise<void> {
    for (;;) {
      const started = Date.now();
      const {status} = await ask(api, token, 'GET', '/api/token/connection/');
      const ended = Date.now();
      // Where the moment came while the request was under way either answer is right.
      const isOver = started >= until * 1_000;
      if (!isOld || isOver || ended < until * 1_000) {
        seen[isOld ? (isOver ? 'after' : 'before') : 'young'] += 1;
        if (status !== (isOld && isOver ? 401 : 200)) wrong.push(`${status} at ${started - until * 1_000} ms`);
      }
      if (started > until * 1_000 + 500) return;
    }
  }

  await Promise.all(Array.from({length: 8}, (_, i) => caller(mint(i % 2 ? old : young), i % 2 === 1)));
  t.deepEqual(wrong, []);
  t.log(`${seen.before} before, ${seen.after} after, ${seen.young} of the new secret`);
  t.true(seen.before > 0 && seen.after > 0 && seen.young > 0);
});

test('10,000 verifications while the set is fetched 100 times, and no wrong answer', async t => {
  const pairs = Array.from({length: 6}, (_, i) => testKey(`key-${i}`, i % 2 ? 'EdDSA' : 'ES256'));
  // Each set has two keys: one that stays from the set before, and a new one.
  const isIn = (kid: number, set: number) => kid === set % 6 || kid === (set + 1) % 6;
  let [begun, done] = [0, 0];
  const server = await startPrimary(t, (_, response) => {
    const keys = pairs.filter((_pair, i) => isIn(i, begun)).map(({jwk}) => jwk);
    response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify({keys}));
  });
  const remote = remoteKeys({
    url: server.url,
    allowLinkLocal: false,
    algorithms: ['ES256', 'EdDSA'],
    onProblem: problem => t.fail(problem),
    timeoutMs: 20_000,
  });
  t.teardown(() => remote.close());
  await remote.load();
  const verify = rememberTokens(apiTokenVerifier({...rules, keys: keySource([], remote)}));
  const tokens = pairs.map(pair => Array.from({length: 5}, (_, i) => pair.token({sub: `u${i}`, exp: now + 60})));
  const counts = {in: 0, out: 0, open: 0};
  let verified = 0;

  async function caller(seed: number): Promise<void> {
    for (let i = seed; verified < 10_000; i++) {
      verified += 1;
      const kid = i % 6;
      const first = done;
      const letIn = await verify(tokens[kid]?.[i % 5] ?? '', now).then(
        () => true,
        () => false,
      );
      const sets = Array.from({length: begun - first + 1}, (_, n) => isIn(kid, first + n));
      if (sets.includes(true) && sets.includes(false)) counts.open += 1;
      else {
        if (letIn !== sets[0]) t.fail(`key ${kid} in sets ${first} to ${begun}: ${letIn}`);
        counts[letIn ? 'in' : 'out'] += 1;
      }
      await new Promise(resolve => setImmediate(resolve));
    }
  }

  async function reload(): Promise<void> {
    for (let set = 1; set <= 100; set++) {
      const wanted = verified + 95;
      while (verified < Math.min(wanted, 9_990)) await new Promise(resolve => setImmediate(resolve));
      begun = set;
      await remote.load();
      done = set;
    }
  }

  await Promise.all([reload(), ...Array.from({length: 10}, (_, i) => caller(i * 7))]);
  t.log(`${verified} verified, ${server.requests.length} fetches: ${JSON.stringify(counts)}`);
  t.true(verified >= 10_000 && server.requests.length >= 101);
  t.true(counts.in > 1_000 && counts.out > 1_000);
});
