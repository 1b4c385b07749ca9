// What is answered when something happens between two statements of a request: never what nobody may see, and no mixture of
// before and after.
import test, {type ExecutionContext} from 'ava';
import type {RoomId} from '../../src/core/ids.ts';
import {CreateRoom, parse, PostMessage} from '../../src/core/input.ts';
import {putMember, removeMember} from '../../src/core/members.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {createRoom, deleteRoom, updateRoom} from '../../src/core/rooms.ts';
import {rows} from '../../src/db/rows.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import type {OpenChat} from '../../src/open.ts';
import {apiToken, operator, serviceToken, testUser, userId} from '../helpers/chat.ts';
import {databases, type Database} from '../helpers/database.ts';
import {ask, startApi, type Answer, type Api} from '../helpers/http.ts';
import {beforeStatement} from '../helpers/statements.ts';
import {until} from '../helpers/until.ts';

const mia = apiToken('mia');
const maxStatements = 30;

interface Prepared {
  path: string;
  happen: () => Promise<unknown>;
}

/** The answers when something happens before each of the request's statements in turn, and when it does not happen. */
async function atEachMoment(
  t: ExecutionContext,
  database: Database,
  prepare: (api: Api) => Promise<Prepared>,
  request: (api: Api, path: string) => Promise<Answer> = read,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  while (answers.length < maxStatements) {
    const api = await startApi(t, database);
    const {path, happen} = await prepare(api);
    const {happened} = beforeStatement(api.chat.db.sql, answers.length + 1, happen);
    answers.push(await request(api, path));
    if (!happened()) return answers;
  }
  throw new Error('it takes more statements than that');
}

/** Whenever it happens the answer is the one of before or the one of after. */
async function mustBeOfOneMoment(
  t: ExecutionContext,
  database: Database,
  prepare: (api: Api) => Promise<Prepared>,
): Promise<void> {
  const api = await startApi(t, database);
  const {path, happen} = await prepare(api);
  const before = told(await read(api, path));
  await happen();
  const after = told(await read(api, path));
  const answers = (await atEachMoment(t, database, prepare)).map(told);
  t.is(answers[0], after);
  t.is(answers.at(-1), before);
  for (const answer of answers)
    t.true(answer === before || answer === after, `${answer}, and not ${before} or ${after}`);
}

function read(api: Api, path: string): Promise<Answer> {
  return ask(api, mia, 'GET', path);
}

/** Without what differs from one request, or one moment, to another that is the same. */
function told({status, text}: Answer): string {
  return `${status} ${text.replaceAll(/"\d{4}-[^"]*Z"|"request_id":"[^"]*"/g, '…')}`;
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

/** The room's first message, which a path below names. */
async function post({chat}: Api, user: string, room: RoomId, content: string): Promise<void> {
  const {message} = await postMessage(chat, {kind: 'user', id: userId(user)}, room, parse(PostMessage, {content}));
  if (Number(message.id) !== 1) throw new Error(`the message is ${message.id}, and the path names another`);
}

/** Removes mia, and then does what she must not learn of. */
async function goOnWithoutMia(api: Api, room: RoomId): Promise<void> {
  const {chat} = api;
  await removeMember(chat, operator, room, userId('mia'));
  await putMember(chat, operator, room, userId('zed'), {});
  await updateRoom(chat, operator, room, {name: 'zed is here'});
  await post(api, 'ann', room, 'zed is here');
}

const paths: Record<string, (room: RoomId) => string> = {
  'their rooms': () => '/api/rooms/',
  'the room': room => `/api/rooms/${room}/`,
  'the room by its key': () => '/api/rooms/by-key/ours/',
  'a search for the room': () => '/api/search/?q=ours',
  'a search for its next name': () => '/api/search/?q=zed',
  'its messages': room => `/api/rooms/${room}/messages/`,
  'the next message': room => `/api/rooms/${room}/messages/1/`,
  'its members': room => `/api/rooms/${room}/members/`,
  'its members by name': room => `/api/rooms/${room}/members/?q=z`,
};

for (const database of databases) {
  for (const [what, pathTo] of Object.entries(paths)) {
    test(`${database}: who is removed while they ask for ${what} learns nothing of what came after`, async t => {
      await mustBeOfOneMoment(t, database, async api => {
        const room = await privateRoom(api);
        return {path: pathTo(room), happen: () => goOnWithoutMia(api, room)};
      });
    });

    test(`${database}: who posts while they ask for ${what} is told of before or of after`, async t => {
      await mustBeOfOneMoment(t, database, async api => {
        const room = await privateRoom(api);
        return {path: pathTo(room), happen: () => post(api, 'mia', room, 'hi')};
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
      const changing: Promise<unknown>[] = [];
      const prepare = async (api: Api) => {
        const room = await privateRoom(api);
        const happen = () => {
          const changed = change(api.chat, room);
          changing.push(changed);
          return doneOrWaiting(api.chat, changed);
        };
        return {path: paths['the room by its key']?.(room) ?? '', happen};
      };
      for (const {status, text, at} of await atEachMoment(t, 'postgres', prepare, put)) {
        t.true([200, 201].includes(status), text);
        t.deepEqual([at('key'), at('name')], ['ours', 'put']);
      }
      await Promise.all(changing);
    });
  }
}

/** What waits for a lock of the request goes on when that is over. */
async function doneOrWaiting({db}: OpenChat, change: Promise<unknown>): Promise<void> {
  let done = false;
  void Promise.allSettled([change]).then(() => (done = true));
  const waiting = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
  await until(async () => done || (await rows(db, waiting)).length > 0, 'the change, or its wait for a lock');
}

if (databases.includes('postgres')) {
  test('postgres: a marker that is moved while its user posts knows of that post, and never goes back', async t => {
    const api = await startApi(t, 'postgres');
    const {chat} = api;
    const room = await privateRoom(api);
    for (const seq of [4, 999]) {
      const [{last_seq: lastSeq} = {last_seq: 0}] = await rows<{last_seq: number}>(
        chat.db,
        'select last_seq from rooms',
      );
      const marking: Promise<Answer>[] = [];
      await inTransaction(chat.db, async tx => {
        await rows(tx, 'update rooms set last_seq = last_seq + 5');
        await rows(tx, `update members set last_read_seq = ? where user_id = 'mia'`, [lastSeq + 5]);
        const mark = ask(api, mia, 'POST', `/api/rooms/${room}/read/`, {seq});
        marking.push(mark);
        await doneOrWaiting(chat, mark);
      });
      for (const {text, body} of await Promise.all(marking)) {
        t.deepEqual(body, {last_read_seq: lastSeq + 5, unread_count: 0}, text);
      }
    }
  });
}
