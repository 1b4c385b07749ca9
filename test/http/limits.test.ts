// T31: how often who may ask. Windows are short here; npm run faults -- --only rate-limits plays the usual ones.
import test, {type ExecutionContext} from 'ava';
import {parseRateLimits, rateLimits} from '../../src/core/rate-limits.ts';
import {addressOf} from '../../src/http/limits.ts';
import {mintApiToken} from '../../src/core/tokens.ts';
import {apiToken, serviceToken, testSecrets} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, mustBeUnauthenticated, startApi, statusesOf, testRoom, type Answer, type Api} from '../helpers/http.ts';

const [mia, sam, service] = [apiToken('mia'), apiToken('sam'), serviceToken()];
/** A window that no test sees the end of. */
const long = (requests: number) => ({requests, seconds: 600});

function mustBeLimited(t: ExecutionContext, answer: Answer, name: string): void {
  t.is(answer.status, 429, answer.text);
  t.is(answer.at('code'), 'rate_limited');
  t.is(answer.headers.get('content-type'), 'application/problem+json');
  t.regex(String(answer.at('detail')), new RegExp(`\\(${name}: `));
  const seconds = Number(answer.headers.get('retry-after'));
  t.true(seconds > 500 && seconds <= 600, `Retry-After ${seconds}`);
}

async function times(count: number, request: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let i = 0; i < count; i++) answers.push(await request());
  return answers;
}

const read = (api: Api, token: string | undefined, headers = {}) =>
  ask(api, token, 'GET', '/api/rooms/', undefined, headers);

test('T31: without limits nothing is counted and no header tells of them', async t => {
  const api = await startApi(t, 'sqlite');
  for (const {status, headers} of await times(150, () => read(api, mia))) {
    t.is(status, 200);
    t.is(headers.get('ratelimit'), null);
  }
});

for (const database of databases) {
  for (const rateStore of database === 'sqlite' ? (['memory'] as const) : (['memory', 'database'] as const)) {
    const where = `${database}, counted in ${rateStore === 'memory' ? 'memory' : 'the database'}`;

    test(`${where}: T31: reads are limited by user, with the headers of the standard, and others are not affected`, async t => {
      const api = await startApi(t, database, {rates: {reads: long(3)}, rateStore});
      const [first, ...more] = await times(3, () => read(api, mia));
      t.is(first?.headers.get('ratelimit-policy'), '"reads";q=3;w=600, "address";q=1000;w=10');
      t.regex(first?.headers.get('ratelimit') ?? '', /^"reads";r=2;t=600, "address";r=999;t=(10|9)$/);
      t.deepEqual(statusesOf(more), [200, 200]);
      const over = await read(api, mia);
      mustBeLimited(t, over, 'reads');
      t.regex(over.headers.get('ratelimit') ?? '', /^"reads";r=0;t=\d+, /);
      t.is((await read(api, sam)).status, 200);
      t.is((await ask(api, mia, 'POST', '/api/rooms/77/join/')).status, 404, 'changes are counted for themselves');
    });

    test(`${where}: T31: posts are limited by user and room`, async t => {
      const api = await startApi(t, database, {rates: {messages: long(2)}, rateStore});
      const [one, other] = [await testRoom(api.chat), await testRoom(api.chat)];
      const post = (token: string, room: number) =>
        ask(api, token, 'POST', `/api/rooms/${room}/messages/`, {content: 'x'});
      t.deepEqual(statusesOf(await times(2, () => post(mia, one))), [201, 201]);
      mustBeLimited(t, await post(mia, one), 'messages');
      t.is((await post(mia, other)).status, 201);
      t.is((await post(apiToken('ann'), one)).status, 201);
      t.is((await ask(api, service, 'GET', `/api/rooms/${one}/`)).at('version'), 5, 'a refused post changes nothing');
    });

    test(`${where}: T31: tokens are limited by user`, async t => {
      const api = await startApi(t, database, {rates: {tokens: long(2)}, rateStore});
      const paths = ['connection/', 'subscription/?channel=personal:mia'];
      for (const path of paths) t.is((await ask(api, mia, 'GET', `/api/token/${path}`)).status, 200);
      for (const path of paths) mustBeLimited(t, await ask(api, mia, 'GET', `/api/token/${path}`), 'tokens');
      t.is((await ask(api, sam, 'GET', '/api/token/connection/')).status, 200);
    });

    test(`${where}: T31: of a hundred requests at once as many pass as may`, async t => {
      const api = await startApi(t, database, {rates: {reads: long(20)}, rateStore});
      const answers = await Promise.all(Array.from({length: 100}, () => read(api, mia)));
      t.is(answers.filter(({status}) => status === 200).length, 20);
      t.is(answers.filter(({status}) => status === 429).length, 80);
    });
  }
}

test('T31: refused tokens are limited by address, and a good one passes all the same', async t => {
  const api = await startApi(t, 'sqlite', {rates: {failures: long(2)}});
  for (const answer of await times(2, () => read(api, `${mia}x`))) mustBeUnauthenticated(t, answer, /invalid_token/);
  mustBeLimited(t, await read(api, `${mia}x`), 'failures');
  mustBeLimited(t, await read(api, 'never.seen.before'), 'failures');
  t.is((await read(api, mia)).status, 200);
});

test('T31: a token that is missing or expired is no guess, and does not lock an office out', async t => {
  const api = await startApi(t, 'sqlite', {rates: {failures: long(1)}});
  const old = mintApiToken(testSecrets.JWT_SECRET, {sub: 'mia'}, 60, 1_700_000_000).token;
  for (const token of [undefined, old]) {
    for (const answer of await times(3, () => read(api, token))) t.is(answer.status, 401, answer.text);
  }
});

test('T31: everything together is limited by address, except health and what the primary service asks', async t => {
  const api = await startApi(t, 'sqlite', {rates: {address: long(3)}});
  t.deepEqual(statusesOf([await read(api, mia), await read(api, sam), await read(api, undefined)]), [200, 200, 401]);
  mustBeLimited(t, await read(api, apiToken('ann')), 'address');
  mustBeLimited(t, await ask(api, undefined, 'GET', '/api/openapi.json'), 'address');
  for (const path of ['/healthz', '/readyz']) {
    const {status, headers} = await ask(api, undefined, 'GET', path);
    t.is(status, 200);
    t.is(headers.get('ratelimit'), null);
  }
  t.is((await ask(api, service, 'GET', '/api/rooms/?all=true')).status, 200);
});

test('T27, T31: the address is the one that the last trusted proxy saw', async t => {
  const limited = async (trustProxy: number, headers: Record<string, string>[]) => {
    const api = await startApi(t, 'sqlite', {trustProxy, rates: {failures: long(1)}});
    const answers = [];
    for (const each of headers) answers.push((await read(api, 'bad.token.x', each)).status);
    return answers;
  };
  const from = (...hops: string[]) => ({'x-forwarded-for': hops.join(', ')});
  t.deepEqual(await limited(0, [from('10.0.0.1'), from('10.0.0.2')]), [401, 429], 'nobody is believed');
  t.deepEqual(await limited(1, [from('10.0.0.1'), from('10.0.0.2'), from('10.0.0.2')]), [401, 401, 429]);
  t.deepEqual(await limited(1, [from('6.6.6.6', '10.0.0.1'), from('7.7.7.7', '10.0.0.1')]), [401, 429], 'forged');
  t.deepEqual(await limited(2, [from('10.0.0.1', '9.9.9.9'), from('10.0.0.2', '9.9.9.9')]), [401, 401]);
  t.deepEqual(await limited(2, [from('6.6.6.6', '10.0.0.1', '9'), from('7.7.7.7', '10.0.0.1', '9')]), [401, 429]);
  t.deepEqual(await limited(1, [from('x'.repeat(5_000)), from('nonsense')]), [401, 429], 'no address at all');
});

test('T31: all addresses of one IPv6 network count as one', t => {
  t.is(addressOf('::ffff:10.1.2.3'), '10.1.2.3');
  for (const ip of ['2001:db8:0:7::1', '2001:DB8::7:ffff:1:2:3', '2001:0db8:0000:0007:1:2:3:4']) {
    t.is(addressOf(ip), '2001:db8:0:7');
  }
  t.is(addressOf('::1'), '0:0:0:0');
  t.is(addressOf('nonsense'), 'unknown');
});

if (databases.includes('postgres')) {
  test('T31: two servers of one PostgreSQL count together', async t => {
    const rates = {reads: long(4)};
    const one = await startApi(t, 'postgres', {rates, rateStore: 'database'});
    const other = await startApi(t, 'postgres', {rates, rateStore: 'database', chat: one.chat});
    const answers = await Promise.all([one, other].map(api => times(3, () => read(api, mia))));
    t.deepEqual(statusesOf(answers.flat()), [200, 200, 200, 200, 429, 429]);
  });

  test('T31: a store that fails leaves each server its own count', async t => {
    const api = await startApi(t, 'postgres', {rates: {reads: long(2)}, rateStore: 'database'});
    await api.chat.db.writer.schema.dropTable('rate_limits');
    t.deepEqual(statusesOf(await times(3, () => read(api, mia))), [200, 200, 429]);
  });

  test('T31: the store holds no name, room or address', async t => {
    const api = await startApi(t, 'postgres', {rates: {reads: long(2)}, rateStore: 'database'});
    await read(api, mia);
    const stored = JSON.stringify(await api.chat.db.sql('rate_limits').select());
    t.regex(stored, /reads:/);
    t.notRegex(stored, /mia|127\.0\.0\.1/);
  });
}

// By itself, because it is about time.
test.serial(
  'T31: at three times the limit what passes is within 5 % of it, and one who keeps to it never waits',
  async t => {
    const [requests, seconds, windows] = [10, 1, 3];
    const api = await startApi(t, 'sqlite', {rates: {reads: {requests, seconds}}});
    const statuses = {greedy: [] as number[], modest: [] as number[]};
    const started = performance.now();
    const elapsed = () => (performance.now() - started) / 1_000;
    const paced = async (who: keyof typeof statuses, perSecond: number) => {
      const token = apiToken(who);
      const asked: Promise<unknown>[] = [];
      // The last window is still open when it ends.
      for (let n = 0; elapsed() < windows * seconds - 0.3; n++) {
        await new Promise(resolve => setTimeout(resolve, Math.max((n / perSecond - elapsed()) * 1_000, 0)));
        asked.push(read(api, token).then(({status}) => statuses[who].push(status)));
      }
      await Promise.all(asked);
    };
    await Promise.all([paced('greedy', (3 * requests) / seconds), paced('modest', (0.5 * requests) / seconds)]);
    const passed = statuses.greedy.filter(status => status === 200).length;
    t.true(statuses.greedy.length > passed, 'some were refused');
    // A busy machine answers late, and so in a window more.
    const most = Math.max(Math.ceil(elapsed() / seconds), windows) * requests;
    t.true(passed >= 0.95 * windows * requests && passed <= 1.05 * most, `${passed} of ${statuses.greedy.length}`);
    t.deepEqual([...new Set(statuses.modest)], [200]);
  },
);

for (const [text, expected] of Object.entries({
  on: rateLimits,
  OFF: null,
  true: rateLimits,
  'reads=5/2s': {...rateLimits, reads: {requests: 5, seconds: 2}},
  'reads=5/2s, tokens=1/60s': {
    ...rateLimits,
    reads: {requests: 5, seconds: 2},
    tokens: {requests: 1, seconds: 60},
  },
})) {
  test(`RATE_LIMITS=${text} is understood`, t => t.deepEqual(parseRateLimits(text), expected));
}
for (const text of [
  'yes',
  'reads',
  'reads=5',
  'reads=0/1s',
  'reads=5/0s',
  'writes=5/1s',
  'reads=5/1m',
  'reads=-5/1s',
]) {
  test(`RATE_LIMITS=${text} is refused`, t => t.is(parseRateLimits(text), undefined));
}
