// The whole way: REST in, the database, the relay, the embedded endpoint, and the unmodified client out.
import {execFile} from 'node:child_process';
import {promisify} from 'node:util';
import test from 'ava';
import {apiToken} from './helpers/chat.ts';
import {databases} from './helpers/database.ts';
import {listen, request, roomOf, startTestServer, type Event} from './helpers/server.ts';
import {until} from './helpers/until.ts';

const run = promisify(execFile);

async function curl(...args: string[]): Promise<{status: number; body: string}> {
  const {stdout} = await run('curl', ['-s', '-w', '\n%{http_code}', ...args]);
  const [status = '', ...body] = stdout.split('\n').toReversed();
  return {status: Number(status), body: body.toReversed().join('\n')};
}

function ofType(events: readonly Event[], type: string): Event[] {
  return events.filter(event => event.type === type);
}

for (const database of databases) {
  test(`${database}: one posts with curl, and both receive message_added with the body of the 201`, async t => {
    const server = await startTestServer(t, database);
    const room = await roomOf(server, ['alice', 'bob']);
    const auth = ['-H', `Authorization: Bearer ${apiToken('alice')}`];
    t.is((await curl(...auth, `${server.apiUrl}/api/token/connection/`)).status, 200);
    t.is((await curl(...auth, `${server.apiUrl}/api/token/subscription/?channel=personal:alice`)).status, 200);
    const [alice, bob] = await Promise.all([listen(t, server, 'alice'), listen(t, server, 'bob')]);
    const posted = await curl(
      '-X',
      'POST',
      ...auth,
      '-H',
      'Content-Type: application/json',
      '-d',
      '{"content":"hello"}',
      `${server.apiUrl}/api/rooms/${room}/messages/`,
    );
    t.is(posted.status, 201, posted.body);
    for (const {events} of [alice, bob]) {
      const event = await until(() => ofType(events, 'message_added')[0], 'the event');
      t.is(JSON.stringify(event.body), posted.body);
    }
  });

  test(`${database}: who was away for ten posts recovers ten, in order, none twice`, async t => {
    const server = await startTestServer(t, database);
    const room = await roomOf(server, ['alice', 'bob']);
    const [alice, bob] = await Promise.all([listen(t, server, 'alice'), listen(t, server, 'bob')]);
    bob.client.disconnect();
    const before = bob.events.length;
    const posted: number[] = [];
    for (let i = 0; i < 10; i++) {
      const {body} = await request(server, apiToken('alice'), 'POST', `/api/rooms/${room}/messages/`, {
        content: `m${i}`,
      });
      posted.push(Number(body['id']));
    }
    await until(() => ofType(alice.events, 'message_added').length === 10, 'alice to have all');
    bob.client.connect();
    await until(() => bob.recovered() !== undefined && bob.events.length >= before + 10, 'bob to recover');
    t.true(bob.recovered());
    t.deepEqual(
      ofType(bob.events, 'message_added').map(event => event.body['id']),
      posted,
    );
    await request(server, apiToken('alice'), 'POST', `/api/rooms/${room}/messages/`, {content: 'live again'});
    await until(() => ofType(bob.events, 'message_added').length === 11, 'the live one');
  });

  test(`${database}: a thousand posts at once over twenty connections leave no gap and no disorder`, async t => {
    const server = await startTestServer(t, database);
    const users = Array.from({length: 20}, (_, i) => `user${i}`);
    const room = await roomOf(server, users);
    const listeners = await Promise.all(users.slice(0, 5).map(user => listen(t, server, user)));
    await Promise.all(
      users.map(async user => {
        for (let i = 0; i < 50; i++) {
          const {status} = await request(server, apiToken(user), 'POST', `/api/rooms/${room}/messages/`, {
            content: `${user} ${i}`,
          });
          t.is(status, 201);
        }
      }),
    );
    for (const {events} of listeners) {
      await until(() => ofType(events, 'message_added').length >= 1_000, 'all of them', 30_000);
      const messages = ofType(events, 'message_added').map(event => event.body);
      t.deepEqual(
        messages.map(body => body['seq']),
        Array.from({length: 1_000}, (_, i) => i + 1),
      );
      const ids = messages.map(body => Number(body['id']));
      t.deepEqual(
        ids,
        ids.toSorted((a, b) => a - b),
      );
      const versions = messages.map(body => (body['room'] as {version: number}).version);
      t.deepEqual(
        versions,
        Array.from({length: 1_000}, (_, i) => i + 2),
      );
    }
  });
}
