// Group commit: each of its rules, over both databases.
import test from 'ava';
import {removeMember} from '../../src/core/members.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {maxWaitingPosts, postBatchSize, postMessage} from '../../src/core/post-queue.ts';
import {createRoom, updateRoom} from '../../src/core/rooms.ts';
import type {RoomId} from '../../src/core/ids.ts';
import {rows} from '../../src/db/rows.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import type {OpenChat} from '../../src/open.ts';
import {openTestChat, operator, testUser, userId} from '../helpers/chat.ts';
import {databases, emptyDatabase} from '../helpers/database.ts';
import {startProxy} from '../helpers/proxy.ts';
import {watchStatements} from '../helpers/statements.ts';
import {until} from '../helpers/until.ts';

function room(chat: OpenChat, members: string[], name = 'general') {
  return createRoom(chat, operator, parse(CreateRoom, {name, members}));
}

function input(content: string, more: object = {}) {
  return parse(PostMessage, {content, ...more});
}

for (const database of databases) {
  test(`${database}: refused posts of a batch change nothing and do not touch the others`, async t => {
    const chat = await openTestChat(t, database);
    const [alice, bob] = [await testUser(chat, 'alice'), await testUser(chat, 'bob')];
    const {id} = await room(chat, ['alice']);
    const archived = await room(chat, ['alice'], 'archived');
    await updateRoom(chat, operator, archived.id, {archived: true});
    const results = await Promise.allSettled([
      postMessage(chat, alice, id, input('first')),
      postMessage(chat, bob, id, input('not a member')),
      postMessage(chat, alice, id, input('second')),
      postMessage(chat, alice, 4711 as RoomId, input('no room')),
      postMessage(chat, alice, archived.id, input('archived')),
      postMessage(chat, operator, id, input('as bob', {user_id: 'bob'})),
      postMessage(chat, operator, id, input('system')),
      postMessage(chat, alice, id, input('third')),
    ]);
    t.deepEqual(
      results.map(each =>
        each.status === 'fulfilled' ? each.value.message.seq : (each.reason as {code: string}).code,
      ),
      [1, 'room_not_found', 2, 'room_not_found', 'room_archived', 'not_a_member', 3, 4],
    );
    t.deepEqual(await rows(chat.db, 'select seq, content from messages order by seq'), [
      {seq: 1, content: 'first'},
      {seq: 2, content: 'second'},
      {seq: 3, content: 'system'},
      {seq: 4, content: 'third'},
    ]);
    t.deepEqual(await rows(chat.db, `select version, last_seq from rooms where id = ${id}`), [
      {version: 5, last_seq: 4},
    ]);
  });

  test(`${database}: a batch takes half of the posts there are, so that the next one is as large`, async t => {
    const chat = await openTestChat(t, database);
    const alice = await testUser(chat, 'alice');
    const {id} = await room(chat, ['alice']);
    const batches: number[] = [];
    chat.onOutbox(rooms => batches.push(rooms.length));
    await Promise.all(Array.from({length: 32}, (_, i) => postMessage(chat, alice, id, input(`message ${i}`))));
    t.deepEqual(batches, [16, 16]);
    const found = await rows<{content: string}>(chat.db, 'select content from messages order by seq');
    t.deepEqual(
      found.map(each => each.content),
      Array.from({length: 32}, (_, i) => `message ${i}`),
    );
  });

  test(`${database}: a client id is given out once, within a batch too`, async t => {
    const chat = await openTestChat(t, database);
    const [alice, bob] = [await testUser(chat, 'alice'), await testUser(chat, 'bob')];
    const {id} = await room(chat, ['alice', 'bob']);
    const results = await Promise.allSettled([
      postMessage(chat, alice, id, input('hello', {client_id: 'a'})),
      postMessage(chat, alice, id, input('hello', {client_id: 'a'})),
      postMessage(chat, alice, id, input('other', {client_id: 'a'})),
      postMessage(chat, bob, id, input('hello', {client_id: 'a'})),
      postMessage(chat, alice, id, input('hello', {client_id: 'a'})),
    ]);
    t.deepEqual(
      results.map(each =>
        each.status === 'fulfilled'
          ? [each.value.message.seq, each.value.repeated]
          : (each.reason as {code: string}).code,
      ),
      [[1, false], [1, true], 'client_id_reused', [2, false], [1, true]],
    );
    const again = await postMessage(chat, alice, id, input('hello', {client_id: 'a'}));
    t.true(again.repeated);
    t.is((await rows(chat.db, 'select id from outbox')).length, 3);

    // They are one batch; were it written as it is, it would fail and be repeated.
    const statements: string[] = [];
    watchStatements(chat.db.writer, text => statements.push(text));
    const together = await Promise.all([
      postMessage(chat, alice, id, input('beside')),
      postMessage(chat, alice, id, input('twice', {client_id: 'b'})),
      postMessage(chat, alice, id, input('twice', {client_id: 'b'})),
    ]);
    t.deepEqual(
      together.map(each => [each.message.seq, each.repeated]),
      [
        [3, false],
        [4, false],
        [4, true],
      ],
    );
    t.deepEqual(
      statements.filter(text => /^(COMMIT|ROLLBACK)/.test(text)),
      ['COMMIT'],
    );
  });

  test(`${database}: many rooms at once keep their seqs, versions and events dense and in order`, async t => {
    const chat = await openTestChat(t, database);
    const alice = await testUser(chat, 'alice');
    const rooms = await Promise.all(Array.from({length: 10}, (_, i) => room(chat, ['alice'], `r${i}`)));
    await rows({sql: chat.db.writer, dialect: chat.db.dialect}, 'delete from outbox');
    const posts = rooms.flatMap(({id}) =>
      Array.from({length: 50}, (_, i) => postMessage(chat, alice, id, input(`m${i}`))),
    );
    await Promise.all(posts);
    for (const {id} of rooms) {
      const stored = await rows<{seq: number; version: number; content: string}>(
        chat.db,
        'select seq, version, content from messages where room_id = ? order by id',
        [id],
      );
      const expected = Array.from({length: 50}, (_, i) => ({seq: i + 1, version: i + 2, content: `m${i}`}));
      t.deepEqual(stored, expected);
      const events = await rows<{version: number}>(
        chat.db,
        'select version from outbox where room_id = ? order by id',
        [id],
      );
      t.deepEqual(
        events.map(each => each.version),
        expected.map(each => each.version),
      );
    }
    t.deepEqual(await rows(chat.db, 'select distinct last_read_seq from members'), [{last_read_seq: 50}]);
  });

  test(`${database}: a batch that fails as a whole is tried one post at a time, and only the bad one fails`, async t => {
    const chat = await openTestChat(t, database);
    const alice = await testUser(chat, 'alice');
    const {id} = await room(chat, ['alice']);
    // Longer than the column, which only PostgreSQL minds, and past the parser, as a fault below it would be.
    const bad = {content: 'bad', client_id: 'x'.repeat(10), user_id: null};
    const poison =
      database === 'postgres' ? {...bad, content: 'nul \0 byte'} : {...bad, content: null as unknown as string};
    const results = await Promise.allSettled([
      postMessage(chat, alice, id, input('a')),
      postMessage(chat, alice, id, input('b')),
      postMessage(chat, alice, id, poison as ReturnType<typeof input>),
      postMessage(chat, alice, id, input('c')),
    ]);
    t.deepEqual(
      results.map(each => each.status),
      ['fulfilled', 'fulfilled', 'rejected', 'fulfilled'],
    );
    t.deepEqual(await rows(chat.db, 'select seq, content from messages order by seq'), [
      {seq: 1, content: 'a'},
      {seq: 2, content: 'b'},
      {seq: 3, content: 'c'},
    ]);
  });

  test(`${database}: no post is accepted after the removal of its author`, async t => {
    const chat = await openTestChat(t, database);
    const mallory = await testUser(chat, 'mallory');
    const {id} = await room(chat, ['alice', 'mallory']);
    const posts = Array.from({length: 100}, (_, i) => postMessage(chat, mallory, id, input(`m${i}`)));
    const removal = removeMember(chat, operator, id, userId('mallory'));
    const late = Array.from({length: 100}, (_, i) => postMessage(chat, mallory, id, input(`late${i}`)));
    const {room: left} = await removal;
    const results = await Promise.allSettled([...posts, ...late]);
    const accepted = results.flatMap(each => (each.status === 'fulfilled' ? [each.value.message.version] : []));
    t.true(accepted.every(version => version < left.version));
    t.true(
      results.every(each => each.status === 'fulfilled' || (each.reason as {code: string}).code === 'room_not_found'),
    );
  });

  test(`${database}: more posts than may wait are refused, and all others stored`, async t => {
    const chat = await openTestChat(t, database);
    const alice = await testUser(chat, 'alice');
    const {id} = await room(chat, ['alice']);
    const results = await Promise.allSettled(
      Array.from({length: maxWaitingPosts + postBatchSize}, (_, i) => postMessage(chat, alice, id, input(`m${i}`))),
    );
    const refused = results.flatMap(each => (each.status === 'rejected' ? [(each.reason as {code: string}).code] : []));
    t.true(refused.length > 0 && refused.every(code => code === 'overloaded'));
    const [{n} = {n: 0}] = await rows<{n: number}>(chat.db, 'select count(*) as n from messages');
    t.is(n, results.length - refused.length);
  });
}

if (databases.includes('postgres')) {
  test('postgres: a room that somebody else holds does not stall the others', async t => {
    const chat = await openTestChat(t, 'postgres');
    const alice = await testUser(chat, 'alice');
    const held = await room(chat, ['alice'], 'held');
    const free = await room(chat, ['alice'], 'free');
    let release: (() => void) | undefined;
    const holding = new Promise<void>(resolve => {
      release = resolve;
    });
    let taken: (() => void) | undefined;
    const isTaken = new Promise<void>(resolve => {
      taken = resolve;
    });
    const holder = inTransaction(chat.db, async tx => {
      await rows(tx, 'select id from rooms where id = ? for update', [held.id]);
      taken?.();
      await holding;
    });
    await isTaken;
    let stored = false;
    const waiting = Promise.all(
      Array.from({length: 5}, (_, i) => postMessage(chat, alice, held.id, input(`h${i}`))),
    ).finally(() => {
      stored = true;
    });
    for (let i = 0; i < 5; i++) await postMessage(chat, alice, free.id, input(`f${i}`));
    t.false(stored);
    release?.();
    await holder;
    const posted = await waiting;
    t.deepEqual(
      posted.map(each => each.message.seq),
      [1, 2, 3, 4, 5],
    );
    t.deepEqual(
      posted.map(each => each.message.content),
      ['h0', 'h1', 'h2', 'h3', 'h4'],
    );
  });

  test('postgres: posts whose commit was not answered are not tried again, and a repeat finds them', async t => {
    const proxy = await startProxy(t, await emptyDatabase(t, 'postgres'));
    const chat = await openTestChat(t, 'postgres', {DATABASE_URL: proxy.url});
    const alice = await testUser(chat, 'alice');
    const {id} = await room(chat, ['alice']);
    const post = (content: string, more?: object) => postMessage(chat, alice, id, input(content, more));
    await post('a');
    proxy.loseCommit(0);
    const results = await Promise.allSettled([post('b'), post('c', {client_id: 'c'})]);
    t.deepEqual(
      results.map(each =>
        each.status === 'fulfilled' ? each.value.message.seq : (each.reason as {code: string}).code,
      ),
      ['outcome_unknown', 'outcome_unknown'],
    );
    t.true((await post('c', {client_id: 'c'})).repeated);
    t.deepEqual(await rows(chat.db, 'select seq, content from messages order by seq'), [
      {seq: 1, content: 'a'},
      {seq: 2, content: 'b'},
      {seq: 3, content: 'c'},
    ]);
  });

  test('postgres: whoever was removed while a post waited for the room cannot post', async t => {
    const chat = await openTestChat(t, 'postgres');
    const mallory = await testUser(chat, 'mallory');
    const {id} = await room(chat, ['alice', 'mallory']);
    let remove = () => {};
    const isTime = new Promise<void>(resolve => {
      remove = resolve;
    });
    let hold = () => {};
    const isHeld = new Promise<void>(resolve => {
      hold = resolve;
    });
    const removal = inTransaction(chat.db, async tx => {
      await rows(tx, 'select id from rooms where id = ? for update', [id]);
      hold();
      await isTime;
      await rows(tx, 'delete from members where room_id = ? and user_id = ?', [id, 'mallory']);
    });
    await isHeld;
    const post = t.throwsAsync(postMessage(chat, mallory, id, input('late')), {code: 'room_not_found'});
    // Once the post waits for the lock, so that it began before the removal was committed.
    await until(async () => {
      const waiting = await rows(
        chat.db,
        `select 1 from pg_locks where not granted and locktype in ('tuple', 'transactionid')`,
      );
      return waiting.length > 0;
    }, 'the post to wait');
    remove();
    await removal;
    await post;
  });
}
