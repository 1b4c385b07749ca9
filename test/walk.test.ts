// The whole way: REST in, the database, the relay, the embedded endpoint, and the unmodified client out.
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import test from 'ava';
import {databases} from './helpers/database.ts';
import {startTestChat} from './helpers/server.ts';
import {until} from './helpers/until.ts';
import type {ChatEvent, MessageJson} from '../src/testing.ts';

const run = promisify(execFile);

async function curl(...args: string[]): Promise<{status: number; body: string}> {
  const {stdout} = await run('curl', ['-s', '-w', '\n%{http_code}', ...args]);
  const [status = '', ...body] = stdout.split('\n').toReversed();
  return {status: Number(status), body: body.toReversed().join('\n')};
}

function messages(events: readonly ChatEvent[]): MessageJson[] {
  return events.flatMap(({type, body}) => (type === 'message_added' ? [body] : []));
}

for (const database of databases) {
  test(`${database}: one posts with curl, and both receive message_added with the body of the 201`, async t => {
    const chat = await startTestChat(t, database);
    const room = await chat.room({members: ['alice', 'bob']});
    const auth = ['-H', `Authorization: Bearer ${chat.token('alice')}`];
    t.is((await curl(...auth, `${chat.apiUrl}/api/token/connection/`)).status, 200);
    t.is((await curl(...auth, `${chat.apiUrl}/api/token/subscription/?channel=personal:alice`)).status, 200);
    const posted = await curl(
      '-X',
      'POST',
      ...auth,
      '-H',
      'Content-Type: application/json',
      '-d',
      '{"content":"hello"}',
      `${chat.apiUrl}/api/rooms/${room.id}/messages/`,
    );
    t.is(posted.status, 201, posted.body);
    for (const user of ['alice', 'bob']) {
      t.is(JSON.stringify(await chat.expect(user, 'message_added')), posted.body);
    }
  });

  test(`${database}: who was away for ten posts recovers ten, in order, none twice`, async t => {
    const chat = await startTestChat(t, database);
    const room = await chat.room({members: ['alice', 'bob']});
    const bob = await chat.connect('bob');
    bob.drop();
    const posted: number[] = [];
    for (let i = 0; i < 10; i++) posted.push((await chat.post('alice', room, `m${i}`)).id);
    await chat.expect('alice', 'message_added', ({content}) => content === 'm9');
    t.true((await bob.back()).recovered);
    t.deepEqual(
      messages(bob.events).map(({id}) => Number(id)),
      posted,
    );
    await chat.post('alice', room, 'live again');
    await chat.expect('bob', 'message_added', ({content}) => content === 'live again');
    t.is(messages(bob.events).length, 11);
  });

  test(`${database}: a thousand posts at once over twenty connections leave no gap and no disorder`, async t => {
    const chat = await startTestChat(t, database);
    const users = Array.from({length: 20}, (_, i) => `user${i}`);
    const room = await chat.room({members: users});
    const listeners = await Promise.all(users.slice(0, 5).map(user => chat.connect(user)));
    await Promise.all(
      users.map(async user => {
        for (let i = 0; i < 50; i++) await chat.post(user, room, `${user} ${i}`);
      }),
    );
    for (const {events} of listeners) {
      const bodies = await until(
        () => (messages(events).length >= 1_000 ? messages(events) : undefined),
        'all of them',
        30_000,
      );
      t.deepEqual(
        bodies.map(({seq}) => seq),
        Array.from({length: 1_000}, (_, i) => i + 1),
      );
      const ids = bodies.map(({id}) => Number(id));
      t.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      );
      t.deepEqual(
        bodies.map(({room: {version}}) => version),
        Array.from({length: 1_000}, (_, i) => i + 2),
      );
    }
  });
}
