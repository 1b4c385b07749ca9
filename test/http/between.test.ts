// What is answered when something happens between two statements of a request: never what nobody may see, and no mixture of
// before and after.
import test, {type ExecutionContext} from 'ava';
import type {RoomId} from '../../src/core/ids.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {putMember, removeMember} from '../../src/core/members.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {createRoom, deleteRoom, updateRoom} from '../../src/core/rooms.ts';
import {rows} from '../../src/db/rows.ts';
import type {OpenChat} from '../../src/open.ts';
import {apiToken, operator, serviceToken, testUser, userId} from '../helpers/chat.ts';
import {databases, type Database} from '../helpers/database.ts';
import {ask, startApi, type Answer, type Api} from '../helpers/http.ts';
import {beforeStatement} from '../helpers/statements.ts';
import {until} from '../helpers/until.ts';

const mia = apiToken('mia');
const maxStatements = 30;

/** Asks again and again, and each time something happens before another statement; once before none of them. */
async function atEachMoment(
  t: ExecutionContext,
  database: Database,
  prepare: (api: Api) => Promise<{path: string; happen: () => Promise<unknown>}>,
  judge: (answer: Answer) => void,
  request = (api: Api, path: string) => ask(api, mia, 'GET', path),
): Promise<void> {
  for (let nth = 1; nth <= maxStatements; nth++) {
    const api = await startApi(t, database);
    const {path, happen} = await prepare(api);
    const {happened} = beforeStatement(api.chat.db.sql, nth, happen);
    judge(await request(api, path));
    if (!happened()) return void t.true(nth > 1, 'it asked for something');
  }
  t.fail('it takes more statements than that');
}

/** A private room of mia and ann. */
async function privateRoom({chat}: Api): Promise<RoomId> {
  for (const user of ['mia', 'ann', 'zed']) await testUser(chat, user);
  const members = ['mia', 'ann'];
  const room = await createRoom(
    chat,
    operator,
    parse(CreateRoom, {name: 'ours', visibility: 'private', key: 'ours', members}),
  );
  return room.id;
}

/** Removes mia, and then does what she must not learn of. */
async function goOnWithoutMia({chat}: Api, room: RoomId): Promise<void> {
  await removeMember(chat, operator, room, userId('mia'));
  await putMember(chat, operator, room, userId('zed'), {});
  await updateRoom(chat, operator, room, {name: 'zed is here'});
  await postMessage(chat, {kind: 'user', id: userId('ann')}, room, parse(PostMessage, {content: 'zed is here'}));
}

const paths: Record<string, (room: RoomId) => string> = {
  'their rooms': () => '/api/rooms/',
  'the room': room => `/api/rooms/${room}/`,
  'the room by its key': () => '/api/rooms/by-key/ours/',
  'a search for the room': () => '/api/search/?q=zed',
  'its messages': room => `/api/rooms/${room}/messages/`,
  'the next message': room => `/api/rooms/${room}/messages/1/`,
  'its members': room => `/api/rooms/${room}/members/`,
  'its members by name': room => `/api/rooms/${room}/members/?q=z`,
};

for (const database of databases) {
  for (const [what, pathTo] of Object.entries(paths)) {
    test(`${database}: who is removed while they ask for ${what} learns nothing of what came after`, async t => {
      const prepare = async (api: Api) => {
        const room = await privateRoom(api);
        return {path: pathTo(room), happen: () => goOnWithoutMia(api, room)};
      };
      await atEachMoment(t, database, prepare, ({status, text}) => {
        t.true([200, 404].includes(status), text);
        t.notRegex(text, /zed/);
      });
    });
  }

  for (const what of ['their rooms', 'the room', 'the room by its key'] as const) {
    test(`${database}: whoever posts has read it, whenever they ask for ${what}`, async t => {
      const prepare = async (api: Api) => {
        const room = await privateRoom(api);
        const post = () =>
          postMessage(api.chat, {kind: 'user', id: userId('mia')}, room, parse(PostMessage, {content: 'hi'}));
        await post();
        return {path: paths[what]?.(room) ?? '', happen: post};
      };
      await atEachMoment(t, database, prepare, ({status, text, at}) => {
        t.is(status, 200, text);
        t.is(at('unread_count') ?? at('results.0.unread_count'), 0, text);
      });
    });
  }
}

// SQLite lets nobody change anything within somebody else's change.
if (databases.includes('postgres')) {
  const changes: Record<string, (chat: OpenChat, room: RoomId) => Promise<unknown>> = {
    'deletes it': (chat, room) => deleteRoom(chat, operator, room),
    'gives it another key': (chat, room) => updateRoom(chat, operator, room, {key: 'theirs'}),
  };
  for (const [what, change] of Object.entries(changes)) {
    test(`postgres: a room is put by its key while somebody ${what}`, async t => {
      const put = (api: Api, path: string) =>
        ask(api, serviceToken(), 'PUT', path, {name: 'put', visibility: 'private'});
      const prepare = async (api: Api) => {
        const room = await privateRoom(api);
        return {
          path: paths['the room by its key']?.(room) ?? '',
          happen: () => doneOrWaiting(api.chat, change(api.chat, room)),
        };
      };
      const judge = ({status, text, at}: Answer) => {
        t.true([200, 201].includes(status), text);
        t.deepEqual([at('key'), at('name')], ['ours', 'put']);
      };
      await atEachMoment(t, 'postgres', prepare, judge, put);
    });
  }
}

/** What waits for a lock of the request goes on when that is over. */
async function doneOrWaiting({db}: OpenChat, change: Promise<unknown>): Promise<void> {
  let done = false;
  void change.finally(() => (done = true));
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  await until(async () => done || (await rows(db, waiting)).length > 0, 'the change, or its wait for a lock');
}
