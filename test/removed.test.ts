// T4: who is no longer in a room receives nothing that was committed after it, however much is going on.
import test from 'ava';
import {outboxDepth} from '../src/db/outbox.ts';
import {randomOf} from '../scripts/faults/harness.ts';
import {apiToken, serviceToken} from './helpers/chat.ts';
import {databases} from './helpers/database.ts';
import {listen, request, roomOf, startTestServer, type Event} from './helpers/server.ts';
import {until} from './helpers/until.ts';

const [poster, other] = ['poster', 'other'];

for (const database of databases) {
  test.serial(
    `${database}: T4: who leaves or is removed at random points under load receives nothing from after it`,
    async t => {
      const seed = Date.now() % 1_000_000;
      t.log(`seed ${seed}`);
      const random = randomOf(seed);
      const server = await startTestServer(t, database);
      const room = await roomOf(server, [poster, other, 'mia']);
      const path = `/api/rooms/${room}/`;
      const {events} = await listen(t, server, 'mia');
      /** The versions at which mia was let in and out, in turn, beginning with an out. */
      const turns: number[] = [];
      let ended = false;
      const load = [poster, other].map(async user => {
        for (let n = 0; !ended; n++)
          await request(server, apiToken(user), 'POST', `${path}messages/`, {content: `m${n}`});
      });
      const outs = [
        () => request(server, apiToken('mia'), 'POST', `${path}leave/`),
        () => request(server, serviceToken(), 'DELETE', `${path}members/mia/`),
        () => request(server, serviceToken(), 'POST', `${path}members/`, {remove: ['mia']}),
      ];
      for (let turn = 0; turn < 9; turn++) {
        await new Promise(resolve => setTimeout(resolve, random() * 30));
        const answer = await outs[turn % outs.length]?.();
        t.true((answer?.status ?? 500) < 300, answer?.text);
        await new Promise(resolve => setTimeout(resolve, random() * 30));
        const joined = await request(server, apiToken('mia'), 'POST', `${path}join/`);
        t.is(joined.status, 200, joined.text);
      }
      await outs[1]?.();
      ended = true;
      await Promise.all(load);
      await request(server, apiToken(poster), 'POST', `${path}messages/`, {content: 'the last'});
      await until(async () => (await outboxDepth(server.chat.db)).waiting === 0, 'the outbox to be empty');
      // Of another room, and on the same channel: what was to come before it is there.
      await roomOf(server, ['mia'], 'another');
      const told = () => events.findIndex(({body}) => (body['room'] as {name?: string}).name === 'another');
      await until(() => told() > 0, 'the event of the other room');

      for (const {type, body} of events.slice(0, told())) {
        const version = versionOf(body);
        const isOut = type === 'user_left' ? (body['user'] as {id: string}).id === 'mia' : body['you'] === 'removed';
        const isIn = type === 'user_joined' && (body['user'] as {id: string}).id === 'mia';
        if (isOut || isIn) turns.push(version);
      }
      t.is(turns.length, 19, 'every turn was told');
      const away = events
        .slice(0, told())
        .map(({body}) => versionOf(body))
        .filter(version => isBetween(turns, version));
      t.deepEqual(away, []);
      t.true(events.some(({type}) => type === 'message_added'));
    },
  );
}

function versionOf(body: Event['body']): number {
  return (body['room'] as {version: number}).version;
}

/** Behind an out and before the next in. */
function isBetween(turns: readonly number[], version: number): boolean {
  return turns.some((out, i) => i % 2 === 0 && version > out && version < (turns[i + 1] ?? Infinity));
}
