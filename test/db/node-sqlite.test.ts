// Node's own SQLite, where this Node has one. The whole suite runs over it with TEST_SQLITE_DRIVER=node:sqlite.
import {createRequire} from 'node:module';
import test from 'ava';
import {joinRoom} from '../../src/core/members.ts';
import {listMessages} from '../../src/core/message-pages.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {createRoom} from '../../src/core/rooms.ts';
import {sqliteDriver} from '../../src/db/drivers.ts';
import {rows} from '../../src/db/rows.ts';
import {openTestChat, operator, testUser} from '../helpers/chat.ts';

function isHere(): boolean {
  try {
    createRequire(import.meta.url)('node:sqlite');
    return true;
  } catch {
    return false;
  }
}

const withNodeSqlite = isHere() ? test : test.skip;
if (!isHere()) {
  test('Node’s own SQLite is NOT tested here, and asking for it says what to do', async t => {
    t.log(`!!! Node ${process.versions.node} has no node:sqlite; run the tests on Node 22.13 or later.`);
    const error = await t.throwsAsync(sqliteDriver('node:sqlite'), {code: 'database_unavailable'});
    t.regex(String((error as {hint?: string} | undefined)?.hint), /npm rebuild sqlite3.*postgres:/);
  });
}

withNodeSqlite('rooms, members and messages over Node’s own SQLite', async t => {
  const chat = await openTestChat(t, 'sqlite', {SQLITE_DRIVER: 'node:sqlite'});
  const [alice, bob] = [await testUser(chat, 'alice'), await testUser(chat, 'bob')];
  const room = await createRoom(chat, operator, parse(CreateRoom, {name: 'general', members: ['alice']}));
  await t.throwsAsync(postMessage(chat, bob, room.id, parse(PostMessage, {content: 'no'})), {code: 'room_not_found'});
  await joinRoom(chat, bob, room.id);
  await Promise.all(
    Array.from({length: 50}, (_, i) =>
      postMessage(chat, i % 2 ? alice : bob, room.id, parse(PostMessage, {content: `m${i}`})),
    ),
  );
  const page = await listMessages(chat, alice, room.id, {page: 1, limit: 100});
  t.deepEqual(
    page.items.map(each => each.seq),
    Array.from({length: 50}, (_, i) => 50 - i),
  );
  t.deepEqual(await rows({sql: chat.db.writer, dialect: chat.db.dialect}, 'pragma synchronous'), [{synchronous: 2}]);
});
