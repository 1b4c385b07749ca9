import test from 'ava';
import {parse, CreateRoom, PostMessage} from '../../src/core/input.ts';
import {createRoom} from '../../src/core/rooms.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {openTestChat, operator, testUser} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

for (const database of databases) {
  test(`${database}: a user outside the room cannot post`, async t => {
    const chat = await openTestChat(t, database);
    const room = await createRoom(chat, operator, parse(CreateRoom, {name: 'general', members: ['alice']}));
    const bob = await testUser(chat, 'bob');
    await t.throwsAsync(postMessage(chat, bob, room.id, parse(PostMessage, {content: 'hi'})), {code: 'room_not_found'});
  });

  test(`${database}: posts give seq and version without a gap`, async t => {
    const chat = await openTestChat(t, database);
    const room = await createRoom(chat, operator, parse(CreateRoom, {name: 'general', members: ['alice']}));
    const alice = await testUser(chat, 'alice');
    const posted = await Promise.all(
      Array.from({length: 20}, (_, i) => postMessage(chat, alice, room.id, parse(PostMessage, {content: `m${i}`}))),
    );
    const messages = posted.map(each => each.message).toSorted((a, b) => a.seq - b.seq);
    t.deepEqual(
      messages.map(each => each.seq),
      Array.from({length: 20}, (_, i) => i + 1),
    );
    t.deepEqual(
      messages.map(each => each.version),
      Array.from({length: 20}, (_, i) => room.version + i + 1),
    );
  });
}
