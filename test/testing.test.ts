// The fixture that others build their tests on.
import {execFile} from 'node:child_process';
import {mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {startChat, type StartChatOptions, type TestChat} from '../src/testing.ts';
import {driver} from './helpers/chat.ts';
import {databases, emptyDatabase, temporaryDir} from './helpers/database.ts';

const run = promisify(execFile);
const ours = driver.SQLITE_DRIVER === undefined ? {} : {sqliteDriver: 'node:sqlite' as const};

async function fixture(t: ExecutionContext, options: StartChatOptions = {}): Promise<TestChat> {
  const chat = await startChat({...ours, ...options});
  t.teardown(() => chat.close());
  return chat;
}

test('what nobody may do is refused with the answer of the API', async t => {
  const chat = await fixture(t);
  const room = await chat.room({members: ['alice']});
  await t.throwsAsync(chat.post('mallory', room, 'hi'), {message: /404 to posting as mallory/});
  await t.throwsAsync(chat.post('alice', room, ''), {message: /400 to posting as alice/});
  await t.throwsAsync(chat.room({name: ''}), {message: /400 to making the room/});
  await t.throwsAsync(chat.connect('not a user'));
  t.is((await chat.request('nonsense', 'GET', '/api/rooms/')).status, 401);
  t.is((await chat.request(chat.token('alice', {exp: 1}), 'GET', '/api/rooms/')).status, 401);
  t.is((await chat.request(chat.token('alice'), 'POST', '/api/rooms/', {name: 'mine'})).status, 403);
});

test('what is expected may have come before anybody asked, and each event answers one call', async t => {
  const chat = await fixture(t);
  const room = await chat.room({name: 'ops', members: ['alice', 'bob']});
  const first = await chat.post('alice', room, 'one');
  await chat.post('alice', room.id, 'two');
  t.deepEqual(await chat.expect('bob', 'message_added'), first);
  t.is((await chat.expect('bob', 'message_added')).content, 'two');
  t.is((await chat.expect('bob', 'members_changed', ({you}) => you === 'added')).room.name, 'ops');
  const next = chat.expect('bob', 'message_added', ({content}) => content === 'four');
  await chat.post('alice', room, 'three');
  await chat.post('alice', room, 'four');
  t.is((await next).content, 'four');
  t.is((await chat.expect('bob', 'message_added')).content, 'three');
});

test('a hundred times over, an expectation misses nothing, whether it is made before the act or after it', async t => {
  const chat = await fixture(t);
  const room = await chat.room({members: ['alice', 'bob']});
  for (let i = 0; i < 100; i++) {
    const fits = ({content}: {content: string}) => content === `m${i}`;
    const before = i % 2 === 0 ? chat.expect('bob', 'message_added', fits) : undefined;
    await chat.post('alice', room, `m${i}`);
    t.is((await (before ?? chat.expect('bob', 'message_added', fits))).content, `m${i}`);
  }
});

test('what does not come is told with what came instead', async t => {
  const chat = await fixture(t);
  await t.throwsAsync(chat.expect('bob', 'message_added', undefined, {timeout: 20}), {message: /Nothing came/});
  const room = await chat.room({members: ['alice', 'bob']});
  await chat.post('alice', room, 'hi');
  await chat.expect('bob', 'message_added');
  await t.throwsAsync(
    chat.expect('bob', 'message_added', ({content}) => content === 'bye', {timeout: 20}),
    {message: /bob did not get a message_added that fits within 20 ms[\s\S]*members_changed[\s\S]*"content":"hi"/},
  );
  const fault = new Error('a fault of the test');
  const thrown = await t.throwsAsync(
    chat.expect('bob', 'members_changed', () => {
      throw fault;
    }),
  );
  t.is(thrown, fault);
});

test('a client that was away is told what it missed', async t => {
  const chat = await fixture(t);
  const room = await chat.room({members: ['alice', 'bob']});
  const bob = await chat.connect('bob');
  t.is(await chat.connect('bob'), bob);
  bob.drop();
  await chat.post('alice', room, 'missed');
  t.deepEqual(await bob.back(), {recovered: true});
  t.is((await chat.expect('bob', 'message_added')).content, 'missed');
});

test('tokens are those that the doors want, also when others sign them', async t => {
  const jwtSecret = 'the-secret-of-my-own-service-0123456789';
  const chat = await fixture(t, {jwtSecret, roomCreation: 'users'});
  const other = await fixture(t, {jwtSecret});
  t.is((await chat.request(other.token('alice'), 'POST', '/api/rooms/', {name: 'mine'})).status, 201);
  t.is((await chat.request(chat.serviceToken(), 'GET', '/api/users/')).status, 200);
  t.not(chat.realtimeSecret, other.realtimeSecret);
  for (const token of [chat.connectionToken('alice'), chat.subscriptionToken('alice')]) {
    t.is((await chat.request(token, 'GET', '/api/rooms/')).status, 401);
  }
});

test('several in one process know nothing of each other, nor of the environment and the folder they start in', async t => {
  const before = process.eventNames().map(name => [name, process.listenerCount(name)]);
  const folder = temporaryDir(t);
  writeFileSync(join(folder, '.env'), 'PORT=1\nCENTRIFUGO_API_URL=http://127.0.0.1:1\n');
  process.env['DATABASE_URL'] = 'postgres://nobody@127.0.0.1:1/none';
  t.teardown(() => delete process.env['DATABASE_URL']);
  const chats = await Promise.all(Array.from({length: 4}, () => fixture(t)));
  t.is(new Set(chats.flatMap(({apiUrl, realtimeUrl}) => [apiUrl, realtimeUrl])).size, 8);
  await Promise.all(
    chats.map(async (chat, i) => {
      const room = await chat.room({members: ['alice', 'bob']});
      await chat.post('alice', room, `from ${i}`);
      t.is((await chat.expect('bob', 'message_added')).content, `from ${i}`);
    }),
  );
  t.deepEqual(
    process.eventNames().map(name => [name, process.listenerCount(name)]),
    before,
  );
});

test.serial('after the close nothing is left: no server, no folder, nobody who waits', async t => {
  const folder = temporaryDir(t);
  const {TMPDIR} = process.env;
  process.env['TMPDIR'] = folder;
  const chat = await startChat(ours);
  if (TMPDIR === undefined) delete process.env['TMPDIR'];
  else process.env['TMPDIR'] = TMPDIR;
  t.is(readdirSync(folder).length, 1);
  const waits = chat.expect('bob', 'message_added');
  await chat.connect('bob');
  const late = chat.expect('dave', 'message_added', undefined, {timeout: 60_000});
  await Promise.all([chat.close(), chat.close()]);
  await t.throwsAsync(waits, {message: /closed while bob waited/});
  await t.throwsAsync(late, {message: /closed while dave waited/});
  await t.throwsAsync(chat.connect('carol'), {message: /closed/});
  await t.throwsAsync(fetch(chat.apiUrl));
  t.deepEqual(readdirSync(folder), []);
});

// Before the others, which start theirs at the same time.
test.serial('it starts in under 200 ms', async t => {
  const times: number[] = [];
  for (let i = 0; i < 10; i++) {
    const started = performance.now();
    const chat = await startChat(ours);
    times.push(performance.now() - started);
    await chat.close();
  }
  t.log(times.map(Math.round).join(', '), 'ms');
  t.true(Math.min(...times) < 200, times.join(', '));
});

test('the example of the README is a suite that passes', async t => {
  const [, example = ''] = /```ts\n(import[^`]*chatctl\/testing[^`]*)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
  const folder = temporaryDir(t);
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(process.cwd(), join(folder, 'node_modules/chatctl'));
  writeFileSync(join(folder, 'deploys.test.mjs'), example);
  const {stdout} = await run(process.execPath, ['--test', 'deploys.test.mjs'], {cwd: folder, env: {}});
  t.regex(stdout, /pass 1\n/);
});

for (const database of databases) {
  test(`${database}: it takes a database of the caller's own`, async t => {
    const chat = await fixture(t, {databaseUrl: await emptyDatabase(t, database)});
    const room = await chat.room({members: ['alice']});
    await chat.post('alice', room, 'hi');
    t.is((await chat.expect('alice', 'message_added')).content, 'hi');
  });
}
