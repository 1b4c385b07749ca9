// The same change by the command line and over REST leaves the same rows in the outbox, for every command that writes.
import test from 'ava';
import {createProgram} from '../../src/cli/program.ts';
import {commandReferences} from '../../src/cli/reference.ts';
import {loadConfig} from '../../src/config.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {serviceToken} from '../helpers/chat.ts';
import {testCli, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi} from '../helpers/http.ts';

interface Pair {
  args: string[];
  request: [method: string, path: string, body?: object];
}

const room = '/api/rooms/1/';

/** In this order, on a database of its own for each door. */
const pairs: Pair[] = [
  {
    args: ['room', 'create', 'general', '--key', 'k', '--private', '--member', 'alice', '--member', 'bob'],
    request: ['POST', '/api/rooms/', {name: 'general', key: 'k', visibility: 'private', members: ['alice', 'bob']}],
  },
  {args: ['room', 'create', 'empty'], request: ['POST', '/api/rooms/', {name: 'empty'}]},
  {
    args: ['user', 'upsert', 'carol', '--username', 'Carol'],
    request: ['PUT', '/api/users/carol/', {username: 'Carol'}],
  },
  {args: ['member', 'add', 'general', 'carol'], request: ['PUT', `${room}members/carol/`, {}]},
  {
    args: ['member', 'add', 'general', 'dave', '--role', 'admin'],
    request: ['PUT', `${room}members/dave/`, {role: 'admin'}],
  },
  {
    args: ['member', 'add', 'general', 'carol', '--role', 'admin'],
    request: ['PUT', `${room}members/carol/`, {role: 'admin'}],
  },
  {
    args: ['message', 'post', 'general', 'hello', '--as', 'alice', '--idempotency-key', 'once'],
    request: ['POST', `${room}messages/`, {content: 'hello', user_id: 'alice', client_id: 'once'}],
  },
  {
    args: ['message', 'post', 'general', 'hello', '--as', 'alice', '--idempotency-key', 'once'],
    request: ['POST', `${room}messages/`, {content: 'hello', user_id: 'alice', client_id: 'once'}],
  },
  {
    args: ['message', 'post', 'general', 'of the system'],
    request: ['POST', `${room}messages/`, {content: 'of the system'}],
  },
  {args: ['message', 'delete', '1'], request: ['DELETE', `${room}messages/1/`]},
  {args: ['room', 'rename', 'general', 'lobby'], request: ['PATCH', room, {name: 'lobby'}]},
  {args: ['room', 'archive', 'lobby'], request: ['PATCH', room, {archived: true}]},
  {args: ['room', 'unarchive', 'lobby'], request: ['PATCH', room, {archived: false}]},
  {args: ['member', 'remove', 'lobby', 'bob'], request: ['DELETE', `${room}members/bob/`]},
  {
    args: ['member', 'remove', 'lobby', '--all', '--yes'],
    request: ['POST', `${room}members/`, {remove: ['alice', 'carol', 'dave']}],
  },
  {args: ['user', 'deactivate', 'bob', '--yes'], request: ['DELETE', '/api/users/bob/']},
  {args: ['room', 'delete', 'lobby', '--confirm', 'lobby'], request: ['DELETE', room]},
];

/** Commands that write, and that REST has nothing for. */
const withoutRequest: Record<string, string> = {
  init: 'writes files',
  'migrate up': 'changes the schema',
  'migrate down': 'changes the schema',
  'migrate unlock': 'changes the schema',
  'outbox retry': 'puts back what is there',
  'outbox drop': 'takes away what is there',
  verify: 'mends streams, not the database',
  doctor: 'mends files and the schema',
  'member import': 'has --event',
  seed: 'makes many at once',
  import: 'makes many at once',
  'import grandchat': 'takes over a whole database',
  'user erase': 'an operator’s alone',
};

/** The outbox without what differs from run to run: times, and the database's id. */
async function events(chat: OpenChat): Promise<string[]> {
  const rows = await chat.db.sql('outbox').orderBy('id');
  const time = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;
  return rows.map(row => JSON.stringify(row).replaceAll(time, 'T').replaceAll(chat.databaseId, 'D'));
}

for (const database of databases) {
  test(`${database}: every write by chatctl leaves the outbox rows that REST leaves`, async t => {
    const cli = await testCli(t, database);
    const api = await startApi(t, database);
    const byCli = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
    t.teardown(() => byCli.close());
    for (const {args, request} of pairs) {
      const {code, stderr} = await cli(args);
      t.is(code, 0, `${args.join(' ')}: ${stderr}`);
      const answer = await ask(api, serviceToken(), ...request);
      t.true(answer.status < 300, `${request[0]} ${request[1]}: ${answer.text}`);
      t.deepEqual(await events(byCli), await events(api.chat), args.join(' '));
    }
    t.true((await events(byCli)).length > 10);
  });

  test(`${database}: the curl line of a rehearsal is the request that does the same`, async t => {
    const cli = await testCli(t, database);
    for (const {args: words, request} of pairs) {
      const ids = await idsOf(cli);
      const args = words.map(word => (word === '1' ? ids.message : word));
      const [method, known, body] = request;
      const path = known.replace('rooms/1/', `rooms/${ids.room}/`).replace('messages/1/', `messages/${ids.message}/`);
      const planned = await cli([...args.filter(word => word !== '--yes'), '--dry-run', '--json']);
      t.is(planned.code, 0, `${args.join(' ')}: ${planned.stderr}`);
      const curl = String(planned.at('dry_run.curl.0'));
      t.true(curl.startsWith(`curl -X ${method} `), curl);
      t.true(curl.includes(path), curl);
      if (body && Object.keys(body).length > 0) t.true(sameBody(curl, body), `${curl} ${JSON.stringify(body)}`);
      await cli(args);
    }
  });
}

/** A rehearsal on PostgreSQL leaves a gap in the ids, as whatever is rolled back there: the first need not be 1. */
async function idsOf(cli: TestCli): Promise<{room: string; message: string}> {
  const room = (await cli(['room', 'show', 'key:k', '-o', 'id'])).stdout.trim();
  const messages = room === '' ? '' : (await cli(['message', 'list', `id:${room}`, '--all', '-o', 'id'])).stdout;
  return {room, message: messages.trim().split('\n').at(-1) ?? ''};
}

/** What is sent may say more: defaults are written out. */
function sameBody(curl: string, body: object): boolean {
  const [, json = '{}'] = /-d '(.*?)' \S+$/.exec(curl) ?? [];
  const sent = JSON.parse(json) as Record<string, unknown>;
  return Object.entries(body).every(([name, value]) => JSON.stringify(sent[name]) === JSON.stringify(value));
}

test('every command that writes is compared with REST, or named with the reason why it cannot be', t => {
  const writing = commandReferences(createProgram()).filter(each => each.global_flags.includes('--dry-run'));
  const compared = (path: string) => pairs.some(({args}) => args.join(' ').startsWith(`${path} `));
  const left = writing.filter(({path}) => !compared(path) && !(path in withoutRequest)).map(each => each.path);
  t.deepEqual(left, []);
});
