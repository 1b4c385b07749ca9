// What is begun first of what comes in one turn of the event loop.
import type {IncomingMessage, ServerResponse} from 'node:http';
import {connect} from 'node:net';
import {setImmediate as turn} from 'node:timers/promises';
import test from 'ava';
import {connectWire, requestText} from '../../scripts/bench/wire.ts';
import {entrance} from '../../src/http/entrance.ts';
import {apiToken} from '../helpers/chat.ts';
import {startApi} from '../helpers/http.ts';
import {until} from '../helpers/until.ts';

test('who asks now and then is begun among many requests of one caller that came in a heap, and all are answered', async t => {
  const begun: string[] = [];
  const pass = () => Promise.resolve();
  const api = await startApi(t, 'sqlite', {
    limits: {
      admit: async (_ctx, _route, actor) => void begun.push(actor.kind === 'user' ? actor.id : ''),
      admitAnybody: pass,
      refused: pass,
    },
  });
  const [flood, calm] = [connect(api.port, '127.0.0.1'), await connectWire(api.url)];
  t.teardown(() => [flood.destroy(), calm.close()]);
  const heap = 30;
  let answers = '';
  flood.setEncoding('latin1').on('data', (piece: string) => (answers += piece));
  flood.write(requestText('GET', '/api/rooms/', apiToken('mia')).repeat(heap));
  t.is(await calm.send(requestText('GET', '/api/rooms/', apiToken('sam'))), 200);
  const place = begun.indexOf('sam');
  t.true(place >= 3 && place < heap / 2, `begun as the ${place}th`);
  await until(() => answers.split('HTTP/1.1 200').length === heap + 1, 'all of the heap');
});

/** An entrance alone; `ask` sends so many requests of a caller, on a connection that may be closed later. */
function openEntrance() {
  const begun: string[] = [];
  const enter = entrance(request => void begun.push(request.url ?? ''));
  const counts = new Map<string, number>();
  return {
    begun,
    ask(caller: string, count: number, socket = {destroyed: false}) {
      for (let i = 0; i < count; i++) {
        const n = (counts.get(caller) ?? 0) + 1;
        counts.set(caller, n);
        const request = {url: `${caller} ${n}`, headers: {authorization: `Bearer ${caller}`}, socket};
        enter(request as unknown as IncomingMessage, {} as ServerResponse);
      }
    },
    /** Turns of the event loop until nothing is begun any more. */
    async finish() {
      for (let before = -1; before < begun.length; await turn()) before = begun.length;
    },
  };
}

const numbered = (caller: string, count: number) => Array.from({length: count}, (_, i) => `${caller} ${i + 1}`);

test('only so many requests wait, of one caller and in all, and no caller overtakes itself', async t => {
  const {begun, ask, finish} = openEntrance();
  ask('mia', 1_000);
  t.deepEqual(begun, numbered('mia', 1_000 - 32));
  for (let i = 0; i < 20; i++) ask(`user${i}`, 100);
  t.is(begun.length, 3_000 - 256);
  ask('mia', 1);
  await finish();
  t.is(begun.length, 3_001);
  for (const [caller, count] of [
    ['mia', 1_001],
    ['user0', 100],
    ['user19', 100],
  ] as const) {
    t.deepEqual(
      begun.filter(each => each.startsWith(`${caller} `)),
      numbered(caller, count),
    );
  }
});

test('callers who ask much go round, so that none waits for the heap of another', async t => {
  const {begun, ask, finish} = openEntrance();
  ask('mia', 30);
  ask('ann', 6);
  await finish();
  t.is(begun.length, 36);
  t.true(begun.indexOf('ann 6') < 14, begun.join());
});

test('a request whose client has gone while it waited is not begun, and the others are', async t => {
  const {begun, ask, finish} = openEntrance();
  const gone = {destroyed: false};
  ask('mia', 5, gone);
  ask('mia', 2);
  gone.destroyed = true;
  await finish();
  t.deepEqual(begun, ['mia 1', 'mia 2', 'mia 3', 'mia 6', 'mia 7']);
});
