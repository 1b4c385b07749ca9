// GRANDCHAT_ROWS=100000 takes over that many users and as many messages.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import pg from 'pg';
import {loadConfig} from '../../src/config.ts';
import {openGrandChat, takeOver} from '../../src/core/grandchat.ts';
import type {Db} from '../../src/db/connect.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {operator} from '../helpers/chat.ts';
import {startProcess, testCli, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {grandChat} from '../helpers/grandchat.ts';
import {endedBehind, makeDear} from '../helpers/halfway.ts';

const size = Number(process.env['GRANDCHAT_ROWS'] ?? 1_500);

const withPostgres = databases.includes('postgres') ? test : test.skip;

for (const database of databases) {
  withPostgres(`${database}: a GrandChat database is taken over with its ids, counts and contents`, async t => {
    const url = await grandChat(t, size);
    const cli = await testCli(t, database);
    const env = {GRANDCHAT_DATABASE_URL: url};
    const dry = await cli(['import', 'grandchat', '--dry-run', '--json'], {env});
    t.is(dry.code, 0, dry.stderr);
    t.deepEqual([dry.at('users'), dry.at('rooms'), dry.at('messages')], [size, 5, size]);
    t.is((await cli(['room', 'list'])).stdout, '');
    t.is((await cli(['import', 'grandchat'], {env})).code, 2, 'unconfirmed');

    const taken = await cli(['import', 'grandchat', '--yes', '--json'], {env});
    t.is(taken.code, 0, taken.stderr);
    t.log(`${size} users and messages in ${String(taken.at('seconds'))} s`);
    t.is(taken.at('equal'), true);
    t.is(taken.at('checksums.messages.source'), taken.at('checksums.messages.here'));
    t.deepEqual(taken.at('conflicts'), []);
    const room = await cli(['room', 'show', 'id:10', '--json']);
    t.is(room.at('room.name'), 'Room 1');
    t.is(room.at('room.member_count'), size);
    t.is(room.at('room.version'), size + Math.floor(size / 4));
    const system = await cli(['message', 'show', '3', '--json']);
    t.is(system.at('message.user'), null);
    t.is(system.at('message.room.id'), 20);
    t.is((await cli(['message', 'show', '9', '--json'])).at('message.content'), '  spaces  ');
    t.is(String((await cli(['message', 'show', '6', '--json'])).at('message.content')).length, 15_000);
    const last = await cli(['message', 'list', 'id:10', '--limit', '1', '--json']);
    t.is(last.at('messages.0.room.version'), room.at('room.version'));
    t.not((await cli(['user', 'show', '7', '--json'])).at('user.deactivated_at'), null);
    t.true(Number((await cli(['message', 'post', 'id:10', 'next', '--json'])).at('message.id')) > size * 3);
    t.is((await cli(['room', 'create', 'next', '-o', 'id'])).stdout, '51\n');

    const again = await cli(['import', 'grandchat', '--yes', '--json'], {env});
    t.is(again.code, 4, again.stderr);
    t.like(again.at('conflicts.0'), {kind: 'rooms', id: 10});
  });

  withPostgres(
    `${database}: a takeover that was killed goes on, and one that meets other rows writes nothing`,
    async t => {
      const url = await grandChat(t, 1_200);
      const cli = await testCli(t, database);
      const both = await openBoth(t, cli, url);
      // Ends before its second batch, then before its fifth, as a kill would.
      for (const last of [2, 5]) {
        await killedAt(t, both, last);
      }
      writeFileSync(join(cli.cwd, 'url.txt'), `${url}\n`);
      const resumed = await cli(['import', 'grandchat', '--url-file', 'url.txt', '--yes', '--json']);
      t.is(resumed.code, 0, resumed.stderr);
      t.is(resumed.at('equal'), true);
      t.regex(resumed.stderr, /went on/);

      const other = await testCli(t, database);
      await other(['seed', '--users', '3', '--rooms', '12', '--messages', '24']);
      await other(['user', 'upsert', '5', '--username', 'Somebody']);
      const refused = await other(['import', 'grandchat', url, '--yes', '--json']);
      t.is(refused.code, 4, refused.stderr);
      t.regex(refused.stderr, /rooms 10: room 10 is here already/);
      t.regex(refused.stderr, /users 5: stays Somebody/);
      t.is(await usersIn(other), 4);
      t.is((await other(['import', 'grandchat', other.env['DATABASE_URL'] ?? '', '--yes'])).code, 2);
    },
  );
}

interface Both {
  chat: OpenChat;
  old: Db;
}

async function openBoth(t: ExecutionContext, cli: TestCli, url: string): Promise<Both> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  const old = await openGrandChat(url);
  t.teardown(async () => {
    await chat.close();
    await old.close();
  });
  return {chat, old};
}

/** Takes over, and ends before this batch as a kill would. */
async function killedAt(t: ExecutionContext, {chat, old}: Both, batch: number): Promise<void> {
  let batches = 0;
  const onRows = () => {
    if (++batches === batch) throw new Error('killed');
  };
  await throwsKilled(t, takeOver(chat, operator, old, {...unwatched, onRows}));
}

const nothing = () => undefined;
const unwatched = {dryRun: false, onStart: () => Promise.resolve(), onRows: nothing, mustGoOn: nothing};

async function throwsKilled(t: ExecutionContext, takeover: Promise<unknown>): Promise<void> {
  await t.throwsAsync(takeover, {message: 'killed'});
}

withPostgres('a takeover that was killed while it compared both databases compares them again', async t => {
  const url = await grandChat(t, 10);
  const cli = await testCli(t, 'sqlite');
  const {chat, old} = await openBoth(t, cli, url);
  let batches = 0;
  const onRows = () => void batches++;
  const mustGoOn = () => {
    // Those of users, rooms, members and messages are in.
    if (batches === 4) throw new Error('killed');
  };
  await throwsKilled(t, takeOver(chat, operator, old, {...unwatched, onRows, mustGoOn}));
  const again = await cli(['import', 'grandchat', url, '--yes', '--json']);
  t.is(again.code, 0, again.stderr);
  t.is(again.at('equal'), true);
  t.is((await cli(['import', 'grandchat', url, '--yes'])).code, 4, 'one that has ended is not begun again');
});

withPostgres('Ctrl-C ends the batch of a takeover, says how it goes on, and exits 130', async t => {
  const url = await grandChat(t, 1_200);
  const cli = await testCli(t, 'sqlite');
  writeFileSync(join(cli.cwd, 'url.txt'), url);
  const command = ['import', 'grandchat', '--url-file', 'url.txt', '--yes', '--json'];
  const {chat} = await openBoth(t, cli, url);
  const cheap = await makeDear(chat.db, 'members', 500_000);
  const stopped = await endedBehind(chat.db, startProcess(t, cli, command), 1_205, 'SIGINT');
  t.is(stopped.code, 130, stopped.stderr);
  t.is(stopped.stdout, '');
  t.regex(stopped.stderr, /Stopped\. What is in stays; the same command goes on with it\./);
  t.is((await chat.db.sql('messages')).length, 0);
  await cheap();
  const again = await cli(command);
  t.is(again.code, 0, again.stderr);
  t.regex(again.stderr, /went on/);
  t.is(again.at('equal'), true);
});

/** A database of so many users, whose room 50 has a name that cannot be here. */
async function withOddRoom(t: ExecutionContext, size: number): Promise<string> {
  const url = await grandChat(t, size);
  const client = new pg.Client({connectionString: url});
  await client.connect();
  await client.query(String.raw`update chat_room set name = E'bell \x07' where id = 50`);
  await client.end();
  return url;
}

withPostgres('what cannot be here is left out, told row by row, and ends with 7', async t => {
  const url = await withOddRoom(t, 10);
  const cli = await testCli(t, 'sqlite');
  const partial = await cli(['import', 'grandchat', url, '--yes', '--json']);
  t.is(partial.code, 7, partial.stderr);
  t.like(partial.at('refused.0'), {kind: 'rooms', id: 50});
  t.is((await cli(['room', 'list', '--sort', 'name', '-o', 'id'])).stdout, '10\n20\n30\n40\n');
});

withPostgres('a takeover that goes on still knows what was left out before it was killed', async t => {
  const url = await withOddRoom(t, 1_200);
  const cli = await testCli(t, 'sqlite');
  const both = await openBoth(t, cli, url);
  // Users come in two batches, and rooms in the one behind them.
  await killedAt(t, both, 5);
  const resumed = await cli(['import', 'grandchat', url, '--yes', '--json']);
  t.is(resumed.code, 7, resumed.stderr);
  t.like(resumed.at('refused.0'), {kind: 'rooms', id: 50});
  t.is(resumed.at('equal'), true);
});

for (const database of databases) {
  withPostgres(
    `${database}: what a takeover leaves out is noted batch by batch, and told whole when it goes on`,
    async t => {
      const url = await withOddUsers(t, 3_500);
      const cli = await testCli(t, database);
      const both = await openBoth(t, cli, url);
      await killedAt(t, both, 4);
      const noted = async () => (await both.chat.db.sql('import_refused').orderBy('position')) as {refused: string}[];
      const before = await noted();
      t.deepEqual(
        before.map(row => (JSON.parse(row.refused) as unknown[]).length),
        [1_000, 1_000, 1_000],
      );
      const [place] = (await both.chat.db.sql('imports')) as {state: string}[];
      t.is(place?.state, '{}', 'nothing that grows is written anew with each batch');
      const resumed = await cli(['import', 'grandchat', url, '--yes', '--json']);
      t.is(resumed.code, 7, resumed.stderr);
      t.is(resumed.at('refused_count'), 3_500);
      t.is(resumed.at('equal'), true, 'their members and messages are in, and bring them in under their ids');
      t.deepEqual(await noted(), [], 'the end takes the notes away');
    },
  );
}

withPostgres('a database whose ids leave none to go on from is refused before the first row', async t => {
  const url = await grandChat(t, 10);
  const client = new pg.Client({connectionString: url});
  await client.connect();
  await client.query('update chat_message set id = 4503599627370497 where id = 30');
  await client.end();
  const cli = await testCli(t, 'sqlite');
  const refused = await cli(['import', 'grandchat', url, '--yes', '--json']);
  t.is(refused.code, 2, refused.stderr);
  t.regex(refused.stderr, /ids of messages go up to 4503599627370497/);
  t.is(await usersIn(cli), 0);
});

/** A database of users of whom none can be here. */
async function withOddUsers(t: ExecutionContext, size: number): Promise<string> {
  const url = await grandChat(t, size);
  const client = new pg.Client({connectionString: url});
  await client.connect();
  await client.query(String.raw`update auth_user set username = E'bell \x07 ' || id`);
  await client.end();
  return url;
}

async function usersIn(cli: TestCli): Promise<number> {
  return ((await cli(['user', 'list', '--limit', '10', '-o', 'id'])).stdout.match(/\n/g) ?? []).length;
}
