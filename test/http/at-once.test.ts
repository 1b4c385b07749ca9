// Many at once: whatever order the requests take, the room's books balance afterwards.
import test from 'ava';
import {listEvents} from '../../src/core/outbox.ts';
import {apiToken, operator, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom, type Answer, type Api} from '../helpers/http.ts';

const users = ['u0', 'u1', 'u2', 'u3', 'u4', 'u5'];
const service = serviceToken();

/** What one user does, one after another; all users do it at the same time. */
async function bustle(api: Api, room: string, user: string, turns: number): Promise<Answer[]> {
  const token = apiToken(user);
  const other = users[(users.indexOf(user) + 1) % users.length] ?? '';
  const acts = [
    () => ask(api, token, 'POST', `${room}messages/`, {content: 'x'}),
    () => ask(api, token, 'POST', `${room}join/`),
    () => ask(api, token, 'POST', `${room}leave/`),
    () => ask(api, service, 'PUT', `${room}members/${other}/`, {role: 'admin'}),
    () => ask(api, service, 'PATCH', room, {name: `named by ${user} ${turns}`}),
    () => ask(api, service, 'POST', `${room}members/`, {add: [user], remove: [other]}),
    () => ask(api, service, 'DELETE', `${room}members/${other}/`),
    () => ask(api, token, 'POST', `${room}read/`, {seq: 3}),
  ];
  const answers: Answer[] = [];
  for (let turn = 0; turn < turns; turn++) {
    const act = acts[(turn * 5 + users.indexOf(user) * 3) % acts.length];
    if (act) answers.push(await act());
  }
  return answers;
}

for (const database of databases) {
  test(`${database}: six who post, join, leave, add, remove and rename at once leave no gap in versions`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat, {members: ['u0', 'u1', 'u2']})}/`;
    const answers = (await Promise.all(users.map(user => bustle(api, room, user, 16)))).flat();
    for (const {status, text} of answers) t.true(status < 500, text);
    t.true(new Set(answers.map(({status}) => status)).size > 3, 'some were refused, others not');

    const events = (await listEvents(api.chat, operator, 0, 1_000)).map(event => event.version);
    const after = await ask(api, service, 'GET', room);
    t.deepEqual(
      events,
      events.map((_, i) => i + 1),
      'in the order of the outbox',
    );
    t.is(after.at('version'), events.length);
    const members = await ask(api, service, 'GET', `${room}members/`);
    t.is((members.body['results'] as object[]).length, Number(after.at('member_count')));
    const messages = await ask(api, service, 'GET', `${room}messages/`);
    const posted = answers.filter(({status, body}) => status === 201 && 'seq' in body);
    t.is(messages.at('count'), posted.length);
    t.deepEqual(
      (messages.body['results'] as {seq: number}[]).map(({seq}) => seq),
      posted.map((_, i) => posted.length - i),
    );
  });

  test(`${database}: a room that is deleted while people post takes all or nothing of each post`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const posts = Array.from({length: 20}, (_, i) =>
      ask(api, apiToken('mia'), 'POST', `${room}messages/`, {content: `m${i}`}),
    );
    const [deleted, ...answers] = await Promise.all([ask(api, service, 'DELETE', room), ...posts]);
    t.is(deleted?.status, 204);
    t.true(answers.every(({status}) => status === 201 || status === 404));
    const types = (await listEvents(api.chat, operator, 0, 100)).map(({type}) => type);
    t.is(types.at(-1), 'room_deleted', 'nothing comes after it');
    t.is(types.filter(type => type === 'message_added').length, answers.filter(({status}) => status === 201).length);
  });

  test(`${database}: of ten deletions of a message at once one changes the room`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const {body} = await ask(api, apiToken('mia'), 'POST', `${room}messages/`, {content: 'x'});
    const before = await ask(api, service, 'GET', room);
    const path = `${room}messages/${String(body['id'])}/`;
    const answers = await Promise.all(Array.from({length: 10}, () => ask(api, apiToken('ann'), 'DELETE', path)));
    t.deepEqual([...new Set(answers.map(({status}) => status))], [204]);
    t.is((await ask(api, service, 'GET', room)).at('version'), Number(before.at('version')) + 1);
  });

  test(`${database}: who is removed while posting has posted before or not at all`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const posts = Array.from({length: 20}, (_, i) =>
      ask(api, apiToken('mia'), 'POST', `${room}messages/`, {content: `m${i}`}),
    );
    const [removed, ...answers] = await Promise.all([ask(api, service, 'DELETE', `${room}members/mia/`), ...posts]);
    t.is(removed?.status, 204);
    t.true(answers.every(({status}) => status === 201 || status === 404));
    const types = (await listEvents(api.chat, operator, 0, 100)).map(({type}) => type);
    t.is(types.at(-1), 'user_left');
  });
}
