// T31: what is answered to who goes on asking after a refusal.
import {EventEmitter, once} from 'node:events';
import {connect} from 'node:net';
import test, {type ExecutionContext} from 'ava';
import {connectWire, requestText} from '../../scripts/bench/wire.ts';
import {apiToken} from '../helpers/chat.ts';
import {ask, startApi} from '../helpers/http.ts';
import {until} from '../helpers/until.ts';

const [mia, sam] = [apiToken('mia'), apiToken('sam')];
/** Timers of Node may be a millisecond early. */
const heldSeconds = 0.19;

/** An API where each user may read once in a window, with what its metrics are told of refusals. */
async function strictApi(t: ExecutionContext, seconds = 600) {
  const refused: {route: string; seconds: number}[] = [];
  const told = new EventEmitter();
  const metrics = {
    key: 'key',
    contentType: 'text/plain',
    render: () => Promise.resolve(''),
    request(route: string, _method: string, status: number, took: number) {
      if (status !== 429) return;
      refused.push({route, seconds: took});
      told.emit('refused');
    },
  };
  const api = await startApi(t, 'sqlite', {rates: {reads: {requests: 1, seconds}}, metrics});
  const read = (token: string, path = '/api/rooms/', headers = {}) => ask(api, token, 'GET', path, undefined, headers);
  return {api, read, refused, told};
}

test('who asks again after a refusal is refused after a while, with all the headers of the first refusal', async t => {
  const {api, read, refused} = await strictApi(t);
  t.is((await read(mia)).status, 200);
  const began = performance.now();
  const first = await read(mia);
  const again = await read(mia, '/api/rooms/?page=2');
  // Both on one connection or not: the second does not come sooner than this.
  t.true(performance.now() - began >= 1_000 * heldSeconds);
  for (const {status, text} of [first, again]) t.is(status, 429, text);
  t.is(refused.length, 2);
  t.deepEqual(
    refused.map(({route}) => route),
    ['/api/rooms/', '/api/rooms/'],
  );
  t.deepEqual([...again.headers.keys()].toSorted(), [...first.headers.keys()].toSorted());
  const changing = ['date', 'ratelimit', 'ratelimit-policy', 'retry-after', 'x-request-id', 'content-length'];
  for (const [name, value] of first.headers) if (!changing.includes(name)) t.is(again.headers.get(name), value, name);
  t.is(again.headers.get('ratelimit-policy'), '"reads";q=1;w=600');
  const wait = Number(again.headers.get('retry-after'));
  t.true(wait > 0 && wait <= 900, String(wait));
  t.is(again.headers.get('ratelimit'), `"reads";r=0;t=${wait}`);
  t.not(again.headers.get('x-request-id'), first.headers.get('x-request-id'));
  t.is(again.at('request_id'), again.headers.get('x-request-id'));
  t.is(again.at('code'), 'rate_limited');
  t.is(api.logged().split('"status":429').length, 2, 'one line for both');
});

test('who goes on after a refusal is told once to wait longer', async t => {
  const {read} = await strictApi(t);
  const wait = async (token: string) => Number((await read(token)).headers.get('retry-after'));
  // What is asked in the first second was under way when the refusal came, and is told the same: see the counter's tests.
  const tokens = [mia, sam, apiToken('ann'), apiToken('bob')];
  const [token, later] = await until(async () => {
    // The longer time of one may be so short that nobody sees it.
    for (const of of tokens) {
      const seconds = await wait(of);
      if (seconds > 600) return [of, seconds] as const;
    }
    return undefined;
  }, 'the longer wait');
  t.true(later <= 900, String(later));
  for (let i = 0; i < 8; i++) t.true((await wait(token)) <= later);
  const {headers, text} = await read(token);
  t.is(headers.get('ratelimit'), `"reads";r=0;t=${headers.get('retry-after')}`);
  t.true(text.includes(`try again in ${headers.get('retry-after')} s`), text);
});

test('on a connection that is new or was refused lately a refusal is held back, and a while later given at once', async t => {
  const {api, refused} = await strictApi(t);
  const [first, second] = [await connectWire(api.url), await connectWire(api.url)];
  t.teardown(() => [first, second].forEach(wire => wire.close()));
  const request = (token: string) => requestText('GET', '/api/rooms/', token);
  for (const token of [mia, sam]) t.is(await first.send(request(token)), 200);
  const began = performance.now();
  for (const token of [sam, mia, mia]) t.is(await first.send(request(token)), 429);
  t.true(performance.now() - began >= 1_000 * heldSeconds, 'the first connection was refused lately');
  t.is(await second.send(request(sam)), 429);
  t.true((refused.at(-1)?.seconds ?? 0) >= heldSeconds, 'the second is new');
  t.is(await first.send(request(mia)), 429);
  t.true((refused.at(-1)?.seconds ?? Infinity) < heldSeconds / 2, 'the first was refused a while ago');
});

test('who asks now and then is answered among refusals that come in a heap, or are over in one', async t => {
  const {api, refused, told} = await strictApi(t);
  const heap = 60;
  const flood = await Promise.all(Array.from({length: heap}, () => connectWire(api.url)));
  const calm = await connectWire(api.url);
  t.teardown(() => [...flood, calm].forEach(wire => wire.close()));
  const request = requestText('GET', '/api/rooms/', mia);
  for (const status of [200, 429]) t.is(await calm.send(request), status);
  /** How many had been refused when the other was answered. */
  const refusedBefore = async (heldBack: boolean) => {
    const before = refused.length;
    const statuses = flood.map(wire => wire.send(request));
    if (heldBack) await once(told, 'refused');
    t.is(await calm.send(requestText('GET', '/healthz', sam)), 200);
    const count = refused.length - before;
    t.deepEqual(new Set(await Promise.all(statuses)), new Set([429]));
    return count;
  };
  const over = await refusedBefore(true);
  t.true(over < heap / 2, `${over} that were held back`);
  // On a new connection it is held back: meanwhile the time is over in which it would be on the others.
  const newer = await connectWire(api.url);
  t.teardown(() => newer.close());
  t.is(await newer.send(request), 429);
  const come = await refusedBefore(false);
  t.true(come > 0 && come < heap / 2, `${come} that were not`);
});

test('who hangs up on many refusals that are held back does not end the holding', async t => {
  const {api, read, refused} = await strictApi(t);
  for (const status of [200, 429]) t.is((await read(mia)).status, status);
  const before = refused.length;
  const socket = connect(api.port, '127.0.0.1');
  socket.write(requestText('GET', '/api/rooms/', mia).repeat(1_100));
  await until(() => refused.length > before, 'more than are held at once');
  socket.destroy();
  const asOne = async () => {
    const wire = await connectWire(api.url);
    t.is(await wire.send(requestText('GET', '/api/rooms/', mia)), 429);
    wire.close();
  };
  await until(async () => {
    await Promise.all([asOne(), asOne(), asOne()]);
    return refused.slice(-3).every(({seconds}) => seconds >= heldSeconds);
  }, 'refusals that are held back');
  t.pass();
});

test('whose time comes while a refusal is held back is answered by then, and may come at once', async t => {
  const {read, refused} = await strictApi(t, 0.1);
  await until(async () => {
    await read(mia);
    const before = refused.length;
    const {status, headers} = await read(mia);
    const held = status === 429 && before > 0 ? refused.at(-1)?.seconds : undefined;
    return held !== undefined && held > 0.03 && held < heldSeconds && headers.get('retry-after') === '0';
  }, 'a refusal that was held until its end');
  t.pass();
});

test('nobody is refused for another: not by token, nor for another path, method or origin', async t => {
  const {api, read} = await strictApi(t);
  const origin = 'https://app.example';
  for (const status of [200, 429, 429]) t.is((await read(mia)).status, status);
  t.is((await read(sam)).status, 200);
  t.is((await ask(api, mia, 'POST', '/api/rooms/', {name: 'x'})).status, 403);
  t.is((await read(mia, '/healthz')).status, 200);
  const page = await read(mia, '/api/rooms/', {origin});
  t.is(page.status, 429);
  t.is(page.headers.get('access-control-allow-origin'), origin);
  t.is((await read(mia, '/api/rooms/', {origin})).headers.get('access-control-allow-origin'), origin);
  t.is((await read(mia)).headers.get('access-control-allow-origin'), null);
});

test('when the window ends who was refused is served again', async t => {
  const {read} = await strictApi(t, 1);
  await until(async () => (await read(mia)).status === 429, 'a refusal');
  t.truthy(await until(async () => (await read(mia)).status === 200, 'the next window'));
});
