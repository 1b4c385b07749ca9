import test from 'ava';
import {relayBatchSize} from '../../src/delivery/relay.ts';
import {changeMembers, joinRoom, leaveRoom, removeMember} from '../../src/core/members.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {createRoom, deleteRoom, updateRoom} from '../../src/core/rooms.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {claimEverything, everyPartition} from '../../src/delivery/claims.ts';
import {outboxDepth} from '../../src/db/outbox.ts';
import {rows} from '../../src/db/rows.ts';
import type {RoomId} from '../../src/core/ids.ts';
import type {OpenChat} from '../../src/open.ts';
import {startBatchServer, type BatchServer} from '../helpers/batch-server.ts';
import {openTestChat, operator, testUser, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {startTestRelay} from '../helpers/relay.ts';
import {until} from '../helpers/until.ts';

function newRoom(chat: OpenChat, members: string[], name = 'general') {
  return createRoom(chat, operator, parse(CreateRoom, {name, members}));
}

function post(chat: OpenChat, room: RoomId, content: string) {
  return postMessage(chat, operator, room, parse(PostMessage, {content}));
}

function drained(chat: OpenChat) {
  return until(async () => (await outboxDepth(chat.db)).waiting === 0, 'an empty outbox');
}

function versionsOn(server: BatchServer, channel: string): unknown[] {
  return server.taken
    .filter(each => each.channel === channel)
    .map(({received}) => (received.data.body['room'] as {version: number}).version);
}

for (const database of databases) {
  test(`${database}: events of before the start are delivered, and in the order of their versions`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice', 'bob']);
    for (let i = 0; i < 20; i++) await post(chat, room.id, `m${i}`);
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    const expected = Array.from({length: 21}, (_, i) => i + 1);
    t.deepEqual(versionsOn(server, 'personal:alice'), expected);
    t.deepEqual(versionsOn(server, 'personal:bob'), expected);
  });

  test(`${database}: a broker that is away for a while loses nothing, and posts do not wait for it`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice']);
    const relay = startTestRelay(t, chat, server.broker);
    await drained(chat);
    server.behave({status: 503});
    for (let i = 0; i < 10; i++) await post(chat, room.id, `m${i}`);
    await until(() => relay.state().unreachable, 'the relay to notice');
    t.is((await outboxDepth(chat.db)).waiting, 10);
    server.behave({});
    await drained(chat);
    t.deepEqual(versionsOn(server, 'personal:alice'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    await until(() => relay.state().unreachable === undefined, 'the relay to see that it is back');
  });

  test(`${database}: a broker that does not answer is given up on and asked again`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t, 100);
    const room = await newRoom(chat, ['alice']);
    server.behave({silent: true});
    const relay = startTestRelay(t, chat, server.broker);
    await post(chat, room.id, 'hello');
    await until(() => relay.state().unreachable, 'the time limit');
    server.behave({});
    await drained(chat);
    // On a busy machine an answer may come after so short a limit, and the event again.
    t.deepEqual([...new Set(versionsOn(server, 'personal:alice'))], [1, 2]);
  });

  test(`${database}: an answer that is cut off after the broker acted is repeated under the same key`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice']);
    const relay = startTestRelay(t, chat, server.broker);
    await drained(chat);
    server.behave({cutAnswer: true});
    await post(chat, room.id, 'hello');
    await until(() => relay.state().unreachable, 'the cut');
    server.behave({});
    await drained(chat);
    const keys = server.taken
      .filter(each => each.received.data.type === 'message_added')
      .map(each => each.received.idempotency_key);
    t.true(keys.length >= 2);
    t.is(new Set(keys).size, 1);
  });

  test(`${database}: a room whose event fails for now waits, and the other rooms go on`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const sick = await newRoom(chat, ['alice'], 'sick');
    const well = await newRoom(chat, ['bob'], 'well');
    server.behave({
      fault: (_, channel) => (channel === 'personal:alice' ? {error: {code: 100, message: 'internal'}} : undefined),
    });
    startTestRelay(t, chat, server.broker);
    for (let i = 0; i < 5; i++) {
      await post(chat, sick.id, `s${i}`);
      await post(chat, well.id, `w${i}`);
    }
    await until(() => versionsOn(server, 'personal:bob').length === 6, 'the well room');
    t.deepEqual(versionsOn(server, 'personal:alice'), []);
    server.behave({});
    await drained(chat);
    t.deepEqual(versionsOn(server, 'personal:alice'), [1, 2, 3, 4, 5, 6]);
    t.deepEqual(versionsOn(server, 'personal:bob'), [1, 2, 3, 4, 5, 6]);
  });

  test(`${database}: one of fifty channels that fails has the event repeated under the same key for all`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(
      chat,
      Array.from({length: 50}, (_, i) => `u${i}`),
    );
    const relay = startTestRelay(t, chat, server.broker);
    await drained(chat);
    server.taken.length = 0;
    server.behave({
      fault: (_, channel) => (channel === 'personal:u7' ? {error: {code: 100, message: 'internal'}} : undefined),
    });
    await post(chat, room.id, 'hello');
    await until(() => relay.state().repeated >= 3, 'three tries');
    server.behave({});
    await drained(chat);
    t.is(versionsOn(server, 'personal:u7').length, 1);
    t.is(new Set(server.taken.map(each => each.channel)).size, 50);
    // The broker acts once on a key in each channel, so that the forty-nine see it once.
    t.is(new Set(server.taken.map(each => each.received.idempotency_key)).size, 1);
  });

  test(`${database}: an event refused for good is parked with the reason, and the room goes on`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice']);
    server.behave({
      fault: received =>
        received.data.body['content'] === 'poison' ? {error: {code: 102, message: 'unknown channel'}} : undefined,
    });
    startTestRelay(t, chat, server.broker);
    await post(chat, room.id, 'poison');
    await post(chat, room.id, 'good');
    await drained(chat);
    t.deepEqual(versionsOn(server, 'personal:alice'), [1, 3]);
    const parked = await rows<{error: string; type: string}>(chat.db, 'select type, error from outbox_parked');
    t.deepEqual(parked, [{type: 'message_added', error: 'error 102 unknown channel on personal:alice'}]);
  });

  test(`${database}: a body that the broker cannot read is parked alone`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    await newRoom(chat, ['alice']);
    server.behave({status: 400});
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    t.is((await outboxDepth(chat.db)).parked, 1);
  });

  test(`${database}: who is removed gets the event of it and nothing after it`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice', 'bob']);
    await removeMember(chat, operator, room.id, userId('bob'));
    await post(chat, room.id, 'secret');
    startTestRelay(t, chat, server.broker);
    await post(chat, room.id, 'secret too');
    await drained(chat);
    const bob = server.taken.filter(each => each.channel === 'personal:bob').map(each => each.received.data.type);
    t.deepEqual(bob, ['user_left']);
    t.deepEqual(versionsOn(server, 'personal:alice'), [1, 2, 3, 4]);
  });

  test(`${database}: who joins later does not get what was posted before`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const carol = await testUser(chat, 'carol');
    const room = await newRoom(chat, ['alice']);
    await post(chat, room.id, 'before');
    await joinRoom(chat, carol, room.id);
    await post(chat, room.id, 'after');
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    t.deepEqual(versionsOn(server, 'personal:carol'), [3, 4]);
  });

  test(`${database}: joins and leaves while the relay runs change the receivers at once`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const carol = await testUser(chat, 'carol');
    const room = await newRoom(chat, ['alice']);
    startTestRelay(t, chat, server.broker);
    for (let i = 0; i < 5; i++) {
      await joinRoom(chat, carol, room.id);
      await post(chat, room.id, 'with carol');
      await leaveRoom(chat, carol, room.id);
      await post(chat, room.id, 'without carol');
    }
    await drained(chat);
    const carols = server.taken.filter(each => each.channel === 'personal:carol');
    t.is(carols.length, 15);
    t.false(carols.some(each => each.received.data.body['content'] === 'without carol'));
    t.is(versionsOn(server, 'personal:alice').length, 21);
  });

  test(`${database}: a bulk change tells everybody what it did to them`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice', 'bob']);
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    server.taken.length = 0;
    await changeMembers(chat, operator, room.id, {add: [userId('dave'), userId('erin')], remove: [userId('bob')]});
    await drained(chat);
    const told = Object.fromEntries(server.taken.map(({channel, received}) => [channel, received.data.body]));
    const common = {room: told['personal:alice']?.['room'], added: 2, removed: 1};
    t.deepEqual(told, {
      'personal:alice': {...common, you: null},
      'personal:dave': {...common, you: 'added'},
      'personal:erin': {...common, you: 'added'},
      'personal:bob': {...common, you: 'removed'},
    });
  });

  test(`${database}: a partition that is taken away in the middle is left alone at once`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice']);
    for (let i = 0; i < 9; i++) await post(chat, room.id, `m${i}`);
    let held = everyPartition;
    server.behave({
      fault: received => {
        if ((received.data.body['room'] as {version: number}).version === 4) held = [];
        return undefined;
      },
    });
    const claims = {...claimEverything(), held: () => held};
    startTestRelay(t, chat, server.broker, claims);
    await until(() => held.length === 0, 'the fourth event');
    await until(async () => (await outboxDepth(chat.db)).waiting === 6, 'what was delivered to be deleted');
    t.deepEqual(versionsOn(server, 'personal:alice'), [1, 2, 3, 4]);
    held = everyPartition;
    await drained(chat);
    t.deepEqual(versionsOn(server, 'personal:alice'), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  test(`${database}: while what was delivered cannot be deleted the broker is asked less and less`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    await newRoom(chat, ['alice']);
    await rows(
      {...chat.db, sql: chat.db.writer},
      database === 'sqlite'
        ? `create trigger no_delete before delete on outbox begin select raise(abort, 'no'); end`
        : 'create rule no_delete as on delete to outbox do instead select 1 / 0',
    );
    const relay = startTestRelay(t, chat, server.broker);
    await until(() => server.requests() >= 4, 'four tries');
    const before = performance.now();
    await until(() => server.requests() >= 6, 'two more');
    // The fifth and the sixth come at least 80 ms and 160 ms after the one before.
    t.true(performance.now() - before > 150);
    t.truthy(relay.state().unreachable);
    await rows(
      {...chat.db, sql: chat.db.writer},
      database === 'sqlite' ? 'drop trigger no_delete' : 'drop rule no_delete on outbox',
    );
    await drained(chat);
  });

  test(`${database}: a deleted room tells its members and is gone from the database afterwards`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t);
    const room = await newRoom(chat, ['alice']);
    await post(chat, room.id, 'hello');
    await deleteRoom(chat, operator, room.id);
    startTestRelay(t, chat, server.broker);
    await until(async () => (await rows(chat.db, 'select id from rooms')).length === 0, 'the rows to go');
    t.is(server.taken.at(-1)?.received.data.type, 'room_deleted');
    t.deepEqual(await rows(chat.db, 'select id from messages'), []);
    t.deepEqual(await rows(chat.db, 'select user_id from members'), []);
  });

  test(`${database}: however many huge rooms there are, a small one goes on`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t, 30_000);
    const everybody = Array.from({length: 5_001}, (_, i) => `u${i}`);
    const huge: RoomId[] = [];
    for (const name of ['one', 'two', 'three']) huge.push((await newRoom(chat, everybody, name)).id);
    // The third one alone has more waiting than a round takes.
    const [third] = huge.slice(-1);
    if (third === undefined) throw new Error('no room');
    await Promise.all(Array.from({length: relayBatchSize}, (_, i) => post(chat, third, `flood ${i}`)));
    const small = await newRoom(chat, ['alice'], 'small');
    await post(chat, small.id, 'hello');
    server.behave({silentFor: 5_000});
    const relay = startTestRelay(t, chat, server.broker);
    await until(() => versionsOn(server, 'personal:alice').length === 2, 'the small room');
    t.true((await outboxDepth(chat.db)).waiting > relayBatchSize);
    t.is(relay.state().repeated, 0);
    server.behave({status: 503});
  });

  test(`${database}: a room of thousands gets its event in chunks, without a key`, async t => {
    const chat = await openTestChat(t, database);
    const server = await startBatchServer(t, 5_000);
    const everybody = Array.from({length: 6_001}, (_, i) => `u${i}`);
    const room = await newRoom(chat, everybody);
    await updateRoom(chat, operator, room.id, {name: 'renamed'});
    startTestRelay(t, chat, server.broker);
    await drained(chat);
    const renames = server.taken.filter(each => each.received.data.type === 'room_updated');
    t.is(renames.length, 6_001);
    t.is(new Set(renames.map(each => each.channel)).size, 6_001);
    t.true(renames.every(each => each.received.idempotency_key === undefined));
  });
}
