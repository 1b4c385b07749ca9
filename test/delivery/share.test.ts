// Several servers on one PostgreSQL: who drains what, who takes over, and who is refused.
import {fork, type ChildProcess} from 'node:child_process';
import test, {type ExecutionContext} from 'ava';
import {parseDatabaseUrl} from '../../src/db/connect.ts';
import {partitionOf} from '../../src/db/outbox.ts';
import {startRelay} from '../../src/delivery/relay.ts';
import {claimShare} from '../../src/delivery/share.ts';
import type {Claims} from '../../src/delivery/claims.ts';
import type {RoomId} from '../../src/core/ids.ts';
import {createRoom} from '../../src/core/rooms.ts';
import {createLog} from '../../src/log.ts';
import {openChat} from '../../src/open.ts';
import {batchServerKey, startBatchServer} from '../helpers/batch-server.ts';
import {operator, testConfig, testSecrets, userId} from '../helpers/chat.ts';
import {databases, emptyDatabase} from '../helpers/database.ts';
import {startProxy} from '../helpers/proxy.ts';
import {until} from '../helpers/until.ts';

const log = createLog('silent', 'stderr');
/** Servers look around four times a second; a session that froze ends after twelve. */
const longBeforeIdle = 6_000;
const every = Array.from({length: 16}, (_, partition) => partition);

async function claim(t: ExecutionContext, url: string, alone = false): Promise<Claims> {
  const target = parseDatabaseUrl(url);
  if (target.dialect !== 'postgres') throw new Error('this needs PostgreSQL');
  const claims = await claimShare(target, {alone, log});
  t.teardown(() => claims.release());
  return claims;
}

const heldBy = (...all: Claims[]) => all.flatMap(each => each.held()).toSorted((a, b) => a - b);

if (databases.includes('postgres')) {
  test('one server drains everything at once, and a second gets half', async t => {
    const url = await emptyDatabase(t, 'postgres');
    const one = await claim(t, url);
    t.deepEqual(heldBy(one), every);
    const two = await claim(t, url);
    await until(() => one.held().length === 8 && two.held().length === 8, 'a fair share');
    t.deepEqual(heldBy(one, two), every);
    const three = await claim(t, url);
    await until(() => heldBy(one, two, three).length === 16 && three.held().length >= 4, 'a share for the third');
    t.deepEqual(heldBy(one, two, three), every);
  });

  test('a partition is handed over when nothing of it is under way any more', async t => {
    const url = await emptyDatabase(t, 'postgres');
    const one = await claim(t, url);
    // As the relay does it: what is held changes while it is being drained.
    const letGo = one.hold(one.held());
    const two = await claim(t, url);
    await until(() => one.held().length === 8, 'the first to draw back');
    t.deepEqual(two.held(), []);
    letGo();
    await until(() => two.held().length === 8, 'the second to take its share');
  });

  test('what a server leaves behind the other takes', async t => {
    const url = await emptyDatabase(t, 'postgres');
    const [one, two] = [await claim(t, url), await claim(t, url)];
    await until(() => two.held().length === 8, 'a fair share');
    await one.release();
    await until(() => two.held().length === 16, 'everything', longBeforeIdle);
    t.deepEqual(one.held(), []);
  });

  test('a server that serves its clients itself goes with no other', async t => {
    const url = await emptyDatabase(t, 'postgres');
    const alone = await claim(t, url, true);
    await t.throwsAsync(claim(t, url, true), {code: 'server_running'});
    await t.throwsAsync(claim(t, url), {code: 'server_running', message: /Another chatctl server runs on postgres/});
    await alone.release();
    await claim(t, url);
    await t.throwsAsync(claim(t, url, true), {code: 'server_running'});
  });

  test('a server whose session breaks drains nothing, and afterwards has its share and hears of news again', async t => {
    const url = await emptyDatabase(t, 'postgres');
    const proxy = await startProxy(t, url);
    const [one, two] = [await claim(t, proxy.url), await claim(t, url)];
    await until(() => one.held().length === 8 && two.held().length === 8, 'a fair share');
    await proxy.down();
    await until(() => one.held().length === 0 && two.held().length === 16, 'the other to take over');
    await proxy.up();
    await until(() => one.held().length === 8 && two.held().length === 8, 'a fair share again');
    let heard = 0;
    one.onNews(() => (heard += 1));
    await until(() => {
      two.tell(one.held());
      return heard > 0;
    }, 'the news');
    t.deepEqual(heldBy(one, two), every);
  });

  test('an event in a partition of another process wakes that one, long before it would look', async t => {
    const config = await testConfig(t, 'postgres');
    const brokers = [await startBatchServer(t), await startBatchServer(t)];
    const chats = [await openChat(config, {migrate: true}), await openChat(config)];
    const claims = [await claim(t, config.DATABASE_URL), await claim(t, config.DATABASE_URL)];
    await until(() => claims.every(each => each.held().length === 8), 'a fair share');
    for (const [i, chat] of chats.entries()) {
      const [own, batch] = [claims[i], brokers[i]];
      if (!own || !batch) throw new Error('a part is missing');
      const options = {db: chat.db, broker: batch.broker, claims: own, log, now: chat.now};
      const relay = startRelay({...options, pollIntervalMs: 600_000});
      chat.onOutbox(relay.wake);
      t.teardown(async () => {
        await relay.stop();
        await chat.close();
      });
    }
    const [first] = chats;
    if (!first) throw new Error('a part is missing');
    const rooms: RoomId[] = [];
    for (let i = 0; i < 12; i++) {
      const room = await createRoom(first, operator, {
        name: `room ${i}`,
        visibility: 'public',
        members: [userId('alice')],
      });
      rooms.push(room.id);
    }
    const taken = () => brokers.reduce((sum, each) => sum + each.taken.length, 0);
    await until(() => taken() === rooms.length, 'every event');
    const others = rooms.filter(room => claims[1]?.held().includes(partitionOf(room)));
    t.true(others.length > 0);
    t.is(brokers[1]?.taken.length, others.length);
  });

  test('a server process that is killed is replaced at the other’s next look', async t => {
    const url = await emptyDatabase(t, 'postgres');
    const broker = await startBatchServer(t);
    const started = await startProcess(t, url, {CENTRIFUGO_API_URL: broker.url, CENTRIFUGO_API_KEY: batchServerKey});
    const other = await claim(t, url);
    await until(() => other.held().length === 8, 'a fair share');
    started.kill('SIGKILL');
    const killedAt = performance.now();
    await until(() => other.held().length === 16, 'everything');
    t.true(performance.now() - killedAt < longBeforeIdle);
  });

  test('two servers without a Centrifugo: the second says why it does not start', async t => {
    const url = await emptyDatabase(t, 'postgres');
    await startProcess(t, url, {});
    const error = await t.throwsAsync(startProcess(t, url, {}));
    t.regex(error.message, /Another chatctl server runs on postgres/);
    t.regex(error.message, /set CENTRIFUGO_API_URL to run several/);
  });
}

/** `chatctl serve` as a process of its own, once it serves. Rejects with what it printed when it ends before. */
function startProcess(t: ExecutionContext, url: string, env: Record<string, string>): Promise<ChildProcess> {
  const child = fork('dist/bin/chatctl.js', ['serve', '--migrate'], {
    env: {PATH: process.env['PATH'], ...testSecrets, DATABASE_URL: url, PORT: '0', REALTIME_PORT: '0', ...env},
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      if (text.includes('chatctl serves')) resolve(child);
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('exit', () => reject(new Error(text)));
  });
}
