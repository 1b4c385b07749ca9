import {once} from 'node:events';
import type {AddressInfo} from 'node:net';
import Koa from 'koa';
import test, {type ExecutionContext} from 'ava';
import type {State} from '../../src/http/context.ts';
import {problems} from '../../src/http/errors.ts';
import {shedLoad} from '../../src/http/overload.ts';
import {createLog} from '../../src/log.ts';
import {userId} from '../helpers/chat.ts';
import {until} from '../helpers/until.ts';

/** Nothing ends by time. */
const never = 600_000;
const few = {atOnce: 4, ofBusyCallers: 2, othersAskMs: never, longMs: never, waitMs: never};

interface Door {
  /** The status; the request is worked on until `finish`, except a first one by which the caller gets known. */
  ask(caller: string, path: string, signal?: AbortSignal): Promise<number>;
  beginning(path: string): Promise<unknown>;
  begun: string[];
  finish(path: string): void;
  /** What has arrived, worked on or not. */
  come: string[];
  /** What the log would tell, as `path status`. */
  told: string[];
}

/** A server whose answers wait for the test. Callers that are named `forged…` stay unknown. */
async function openDoor(t: ExecutionContext, maxInFlight: number, limits = few): Promise<Door> {
  const [begun, come, told]: [string[], string[], string[]] = [[], [], []];
  const held = new Map<string, () => void>();
  const app = new Koa<State>({proxy: true});
  app.use(async (ctx, next) => {
    come.push(ctx.path);
    await next();
    told.push(`${ctx.path} ${ctx.status}`);
  });
  app.use(problems(createLog('silent', 'stderr')));
  app.use(shedLoad(maxInFlight, {reads: limits, changes: limits}));
  app.use(async ctx => {
    const caller = ctx.get('authorization').replace('Bearer ', '');
    if (!caller.startsWith('forged')) ctx.state.actor = {kind: 'user', id: userId(caller)};
    begun.push(ctx.path);
    if (ctx.path !== '/known') await new Promise<void>(resolve => held.set(ctx.path, resolve));
    ctx.body = 'done';
  });
  const server = app.listen(0, '127.0.0.1');
  t.teardown(() => {
    for (const answer of held.values()) answer();
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  return {
    async ask(caller, path, signal) {
      const headers = {authorization: `Bearer ${caller}`};
      return (await fetch(`http://127.0.0.1:${port}${path}`, {headers, ...(signal && {signal})})).status;
    },
    beginning: path => until(() => begun.includes(path), `${path} to begin`),
    begun,
    finish: path => held.get(path)?.(),
    come,
    told,
  };
}

test('who sends much at once waits for its own answers while others ask, and nobody else does', async t => {
  const door = await openDoor(t, 1_000);
  for (const caller of ['greedy', 'late']) t.is(await door.ask(caller, '/known'), 200);
  const answers = [door.ask('greedy', '/greedy0'), door.ask('greedy', '/greedy1')];
  for (const path of ['/greedy0', '/greedy1']) await door.beginning(path);
  for (let n = 2; n < 5; n++) answers.push(door.ask('greedy', `/greedy${n}`));
  answers.push(door.ask('late', '/late'));
  await door.beginning('/late');
  const ofGreedy = () => door.begun.filter(path => path.startsWith('/greedy')).length;
  t.is(ofGreedy(), 2);
  door.finish('/late');
  door.finish('/greedy1');
  await until(() => ofGreedy() === 3, 'the next of the same caller');
  door.finish('/greedy0');
  const finishing = setInterval(() => {
    for (let n = 2; n < 5; n++) door.finish(`/greedy${n}`);
  }, 1);
  t.teardown(() => clearInterval(finishing));
  t.deepEqual(new Set(await Promise.all(answers)), new Set([200]));
});

test('who sends much at once has all turns where nobody else asks', async t => {
  const door = await openDoor(t, 1_000);
  const answers = [0, 1, 2, 3].map(n => door.ask('forged', `/${n}`));
  for (const path of ['/0', '/1', '/2', '/3']) await door.beginning(path);
  for (const path of ['/0', '/1', '/2', '/3']) door.finish(path);
  t.deepEqual(await Promise.all(answers), [200, 200, 200, 200]);
});

test('where all turns are taken, whoever had the fewest goes first', async t => {
  const door = await openDoor(t, 1_000, {...few, atOnce: 1});
  for (const caller of ['seldom', ...Array<string>(8).fill('often')]) t.is(await door.ask(caller, '/known'), 200);
  const answers = [door.ask('other', '/first')];
  await door.beginning('/first');
  for (const caller of ['often', 'seldom']) {
    answers.push(door.ask(caller, `/${caller}`));
    await until(() => door.come.includes(`/${caller}`), `${caller}'s request`);
  }
  door.finish('/first');
  for (const path of ['/seldom', '/often']) {
    await door.beginning(path);
    door.finish(path);
  }
  t.deepEqual(await Promise.all(answers), [200, 200, 200]);
  t.deepEqual(door.begun.slice(-2), ['/seldom', '/often']);
});

test('a request whose client hung up while it waited is never worked on', async t => {
  const door = await openDoor(t, 1_000, {...few, atOnce: 1});
  const first = door.ask('one', '/first');
  await door.beginning('/first');
  const hangUp = new AbortController();
  const given = door.ask('two', '/given-up', hangUp.signal).catch(() => 'given up');
  await until(() => door.come.includes('/given-up'), 'the request');
  hangUp.abort();
  t.is(await given, 'given up');
  await until(() => door.told.includes('/given-up 499'), 'the server to notice');
  const kept = door.ask('two', '/kept');
  door.finish('/first');
  await door.beginning('/kept');
  door.finish('/kept');
  t.deepEqual(await Promise.all([first, kept]), [200, 200]);
  t.false(door.begun.includes('/given-up'));
});

test('what has waited too long for its turn is refused', async t => {
  const door = await openDoor(t, 1_000, {...few, atOnce: 1, waitMs: 1});
  const first = door.ask('one', '/first');
  await door.beginning('/first');
  t.is(await door.ask('two', '/second'), 503);
  door.finish('/first');
  t.is(await first, 200);
  t.false(door.begun.includes('/second'));
});

test('what takes long does not hold the others up', async t => {
  const door = await openDoor(t, 1_000, {...few, atOnce: 1, longMs: 1});
  const long = door.ask('one', '/long');
  await door.beginning('/long');
  const other = door.ask('two', '/other');
  await door.beginning('/other');
  for (const path of ['/other', '/long']) door.finish(path);
  t.deepEqual(await Promise.all([long, other]), [200, 200]);
});

test('tokens that are made up are one caller, who has half of the places, and those that are known have their own', async t => {
  const door = await openDoor(t, 4);
  t.is(await door.ask('known', '/known'), 200);
  const forged = [door.ask('forged1', '/forged1'), door.ask('forged2', '/forged2')];
  for (const path of ['/forged1', '/forged2']) await door.beginning(path);
  t.is(await door.ask('forged3', '/forged3'), 503);
  t.is(await door.ask('known', '/known'), 200);
  for (const path of ['/forged1', '/forged2']) door.finish(path);
  t.deepEqual(await Promise.all(forged), [200, 200]);
});
