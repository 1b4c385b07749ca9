import {once} from 'node:events';
import type {AddressInfo} from 'node:net';
import Koa from 'koa';
import test from 'ava';
import type {State} from '../../src/http/context.ts';
import {shedLoad} from '../../src/http/overload.ts';
import {until} from '../helpers/until.ts';

test('where many callers ask at once, one who sends much waits for its own answers, and nobody else does', async t => {
  const begun: string[] = [];
  const held = new Map<string, () => void>();
  const app = new Koa<State>();
  app.use(shedLoad(1_000));
  app.use(async ctx => {
    begun.push(ctx.path);
    await new Promise<void>(resolve => held.set(ctx.path, resolve));
    ctx.body = 'done';
  });
  const server = app.listen(0, '127.0.0.1');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, 'listening');
  const {port} = server.address() as AddressInfo;
  const ask = async (caller: string, path: string) =>
    (await fetch(`http://127.0.0.1:${port}${path}`, {headers: {authorization: `Bearer ${caller}`}})).status;
  const beginning = (path: string) => until(() => begun.includes(path), `${path} to begin`);
  const answers: Promise<number>[] = [];

  for (let n = 0; n < 40; n++) answers.push(ask(`caller${n}`, `/caller${n}`));
  await until(() => begun.length === 40, 'all callers');
  for (let n = 0; n < 5; n++) {
    answers.push(ask('greedy', `/greedy${n}`));
    if (n < 2) await beginning(`/greedy${n}`);
  }
  answers.push(ask('late', '/late'));
  await beginning('/late');
  const ofGreedy = () => begun.filter(path => path.startsWith('/greedy')).length;
  t.is(ofGreedy(), 2);
  held.get('/greedy1')?.();
  await until(() => ofGreedy() === 3, 'the next of the same caller');

  const answering = setInterval(() => {
    for (const [path, answer] of held) {
      held.delete(path);
      answer();
    }
  }, 1);
  t.teardown(() => clearInterval(answering));
  t.deepEqual(new Set(await Promise.all(answers)), new Set([200]));
  t.is(begun.length, 46);
});
