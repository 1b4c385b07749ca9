// No hot statement reads a whole table: its plan is looked at while the tables are full. PostgreSQL may choose freely
// here: a server tells it to keep to its indexes, which would hide that one is missing.
import test, {type ExecutionContext} from 'ava';
import {listAuditBefore} from '../../src/core/audit.ts';
import type {RoomId, UserId} from '../../src/core/ids.ts';
import {listMembersAfter} from '../../src/core/members.ts';
import {listRoomsAfter} from '../../src/core/rooms.ts';
import {listUsersAfter} from '../../src/core/users.ts';
import type {Db} from '../../src/db/connect.ts';
import {rows} from '../../src/db/rows.ts';
import type {RunningServer} from '../../src/serve.ts';
import {apiToken, openTestChat, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {request, startTestServer} from '../helpers/server.ts';
import {mostConnections, watchStatements} from '../helpers/statements.ts';
import {until} from '../helpers/until.ts';

const size = {users: 20_000, rooms: 20_000};
const tables = new Set(['users', 'rooms', 'members', 'messages', 'outbox']);
/** An outbox that is drained whole is read from its start; and a limit ends it. */
const readInOrder = /^select id, partition.* from outbox\s+order by id limit/s;

/** Calls every hot route once, and lets the relay deliver. */
async function beBusy(t: ExecutionContext, server: RunningServer): Promise<void> {
  const [alice, bob] = [apiToken('alice'), apiToken('bob')];
  const call = async (token: string, method: string, path: string, body?: object) => {
    const answer = await request(server, token, method, path, body);
    t.true(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
    return {id: Number(answer.body['id'])};
  };
  await call(bob, 'GET', '/api/token/connection/');
  const {id} = await call(serviceToken(), 'POST', '/api/rooms/', {name: 'busy', members: ['alice']});
  const room = `/api/rooms/${id}`;
  await call(bob, 'POST', `${room}/join/`);
  const message = await call(alice, 'POST', `${room}/messages/`, {content: 'one', client_id: 'first'});
  await call(alice, 'POST', `${room}/messages/`, {content: 'two'});
  await call(bob, 'GET', '/api/rooms/');
  await call(bob, 'GET', `${room}/`);
  for (const query of [
    '',
    '?page=2',
    '?limit=5',
    `?before=${message.id + 1}`,
    `?after=${message.id}`,
    `?around=${message.id}`,
  ]) {
    await call(bob, 'GET', `${room}/messages/${query}`);
  }
  await call(bob, 'GET', `${room}/messages/${message.id}/`);
  await call(bob, 'GET', `${room}/members/`);
  await call(bob, 'POST', `${room}/read/`, {seq: 1});
  await call(serviceToken(), 'POST', `${room}/members/`, {add: ['carol', 'dave']});
  await call(alice, 'DELETE', `${room}/messages/${message.id}/`);
  await call(bob, 'POST', `${room}/leave/`);
  await until(() => server.relay.state().published >= 6, 'the events to be delivered');
}

if (databases.includes('postgres')) {
  test('postgres: no hot statement reads a whole table', async t => {
    const server = await startTestServer(t, 'postgres', {DATABASE_POOL_MAX: '2'});
    const {db} = server.chat;
    await fill(db);
    await beBusy(t, server);
    await server.relay.stop();
    await fillOutbox(db);
    const plans = await preparedPlans(db);
    t.true(plans.size > 20, `${plans.size} statements`);
    for (const [statement, plan] of plans) t.deepEqual(wholeTables(plan), [], `${statement}\n${JSON.stringify(plan)}`);
  });
}

test('sqlite: no hot statement reads a whole table', async t => {
  const server = await startTestServer(t, 'sqlite');
  const {db} = server.chat;
  const statements = new Set<string>();
  for (const knex of [db.sql, db.writer]) await traced(knex, sql => statements.add(sql));
  await beBusy(t, server);
  t.true(statements.size > 20, `${statements.size} statements`);
  for (const statement of statements) {
    if (!/^(select|insert|update|delete|with)/i.test(statement) || readInOrder.test(statement)) continue;
    const plan = await rows<Step>(db, `explain query plan ${statement}`);
    const scans = plan.filter(({detail}) => /^SCAN (users|rooms|members|messages|outbox|r|m|u|mine)\b/.test(detail));
    t.deepEqual(scans, [], statement);
    t.false(readsListAgain(plan), `${statement}\n${JSON.stringify(plan)}`);
  }
});

for (const database of databases) {
  test(`${database}: the last stretch of a list is found by an index, and reads no more than it shows`, async t => {
    const chat = await openTestChat(t, database);
    const {db} = chat;
    await fillMany(db);
    const operator = {kind: 'operator', name: 'deploy'} as const;
    const last = {bumped: '1005,2026-01-01T00:00:00.000Z', name: '9990,r9990', id: '8995'};
    const reads: Record<string, () => Promise<unknown>> = {
      members: () => listMembersAfter(chat, operator, bigRoom, {after: deepUser, limit: stretch}),
      users: () => listUsersAfter(chat, operator, undefined, {after: deepUser, limit: stretch}),
      audit: () => listAuditBefore(chat, operator, {}, {before: 1_005, limit: stretch}),
    };
    for (const sort of ['bumped', 'name', 'id'] as const) {
      reads[`rooms by ${sort}`] = () => listRoomsAfter(chat, operator, {}, {after: last[sort], limit: stretch}, sort);
    }
    let asked: {text: string; values: readonly unknown[]}[] = [];
    watchStatements(db.sql, (text, values) => asked.push({text, values}));
    for (const [name, readLast] of Object.entries(reads)) {
      asked = [];
      await readLast();
      const lists = asked.filter(({text}) => / order by .* limit /s.test(text));
      t.is(lists.length, 1, `${name}: ${asked.map(each => each.text).join(';\n')}`);
      for (const {text, values} of lists) {
        const read = await mostRead(t, db, text, values);
        t.true(read <= 2 * stretch, `${name}: ${read} rows`);
      }
    }
  });
}

const stretch = 1_000;
const bigRoom = 1 as RoomId;
const deepUser = 'u08995' as UserId;

/** Users that are all in one room, as many rooms, and entries. */
async function fillMany(db: Db): Promise<void> {
  const time = "'2026-01-01T00:00:00.000Z'";
  const numbers = 'with recursive v(n) as (select 1 union all select n + 1 from v where n < 9999)';
  const padded = db.dialect.name === 'sqlite' ? "printf('u%05d', n)" : "'u' || lpad(cast(n as text), 5, '0')";
  for (const text of [
    `insert into users (id, username, created_at) ${numbers} select ${padded}, 'x', ${time} from v`,
    `insert into rooms (name, name_key, visibility, created_at, bumped_at)
     ${numbers} select 'r' || n, 'r' || n, 'public', ${time}, ${time} from v`,
    `insert into members (room_id, user_id, role, joined_at, joined_version, last_read_seq)
     ${numbers} select 1, ${padded}, 'member', ${time}, 0, 0 from v`,
    `insert into audit (at, actor, door, action, detail) ${numbers} select ${time}, 'x', 'cli', 'x', '{}' from v`,
    'analyze',
  ]) {
    await db.writer.raw(text);
  }
}

/** The most rows that a step reads. SQLite does not count: it must find the beginning by an index, and sort nothing. */
async function mostRead(t: ExecutionContext, db: Db, text: string, values: readonly unknown[]): Promise<number> {
  const pool = db.sql.client as {acquireConnection(): Promise<object>; releaseConnection(c: object): Promise<void>};
  const connection = await pool.acquireConnection();
  try {
    if (db.dialect.name === 'sqlite') {
      const {ask} = connection as {ask: (text: string, values: readonly unknown[]) => Promise<Step[]>};
      const plan = await ask.call(connection, `explain query plan ${text}`, values);
      t.false(
        plan.some(({detail}) => detail.includes('TEMP B-TREE')),
        JSON.stringify(plan),
      );
      t.regex(plan[0]?.detail ?? '', /^SEARCH (?:m|users|r|audit) USING .*[<>]/, `${text}\n${JSON.stringify(plan)}`);
      return 0;
    }
    const {query} = connection as {query: (asked: object) => Promise<{rows: {'QUERY PLAN': [{Plan: Counted}]}[]}>};
    const explained = await query.call(connection, {text: `explain (analyze, format json) ${text}`, values});
    return Math.max(0, ...explained.rows.map(row => rowsIn(row['QUERY PLAN'][0].Plan)));
  } finally {
    await pool.releaseConnection(connection);
  }
}

interface Counted {
  'Actual Rows': number;
  'Actual Loops': number;
  'Rows Removed by Filter'?: number;
  Plans?: Counted[];
}

function rowsIn(plan: Counted): number {
  const own = (plan['Actual Rows'] + (plan['Rows Removed by Filter'] ?? 0)) * plan['Actual Loops'];
  return Math.max(own, ...(plan.Plans ?? []).map(rowsIn));
}

interface Step {
  parent: number;
  detail: string;
}

/** A list that was given is read anew for each row of a table: steps of one parent are loops, each inside the one before. */
function readsListAgain(plan: readonly Step[]): boolean {
  const isList = ({detail}: Step) => /^SCAN json_each\b/.test(detail);
  return plan.some(
    (step, at) =>
      isList(step) && plan.slice(0, at).some(outer => outer.parent === step.parent && outer.detail.startsWith('S')),
  );
}

/** Tells every statement of the connections of this Knex, with its values in it. */
async function traced(knex: Db['sql'], tell: (statement: string) => void): Promise<void> {
  const client = knex.client as {
    acquireConnection(): Promise<NodeJS.EventEmitter>;
    releaseConnection(connection: unknown): Promise<void>;
  };
  const all = await Promise.all(Array.from({length: mostConnections(knex)}, () => client.acquireConnection()));
  for (const connection of all) {
    connection.on('trace', tell);
    await client.releaseConnection(connection);
  }
}

async function fill(db: Db): Promise<void> {
  const time = "'2026-01-01T00:00:00Z'";
  for (const text of [
    `insert into users (id, username, created_at) select 'u' || n, 'u' || n, ${time} from generate_series(1, ${size.users}) n`,
    `insert into rooms (name, name_key, visibility, created_at, bumped_at)
     select 'r' || n, 'r' || n, 'public', ${time}, ${time} from generate_series(1, ${size.rooms}) n`,
    `insert into members (room_id, user_id, role, joined_at, joined_version, last_read_seq)
     select r.id, 'u' || (1 + (r.id * 7 + n) % ${size.users}), 'member', ${time}, 0, 0 from rooms r, generate_series(1, 3) n`,
    `insert into messages (room_id, seq, version, user_id, author_key, content, created_at)
     select r.id, n, n, 'u1', 'u1', 'hello', ${time} from rooms r, generate_series(1, 3) n`,
    'analyze',
  ]) {
    await db.writer.raw(text);
  }
}

/** As behind a broker that is away. */
async function fillOutbox(db: Db): Promise<void> {
  await db.writer.raw(
    `insert into outbox (partition, room_id, type, idempotency_key, body, version, members_version, created_at)
     select n % 16, n, 'message_added', 'k' || n, '{}', n, 0, now() from generate_series(1, ${size.rooms}) n`,
  );
  await db.writer.raw('analyze outbox');
}

/** It holds the deleted rooms only. */
const partialIndex = 'rooms_deleted_idx';

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  'Total Cost': number;
  Plans?: Plan[];
}

/** The plans that do not depend on the values, of what the pool's connections have prepared. */
async function preparedPlans(db: Db): Promise<Map<string, Plan>> {
  const pool = db.sql.client as {acquireConnection(): Promise<object>; releaseConnection(c: object): Promise<void>};
  const connections = [await pool.acquireConnection(), await pool.acquireConnection()];
  const plans = new Map<string, Plan>();
  for (const connection of connections) {
    const q = {sql: db.sql, dialect: db.dialect, connection};
    const found = await rows<{name: string; statement: string; arity: number}>(
      q,
      `select name, statement, coalesce(array_length(parameter_types, 1), 0) as arity from pg_prepared_statements
       where statement ~* '^(select|insert|update|delete|with)' and statement !~ 'pg_prepared_statements'`,
    );
    for (const text of ['set enable_seqscan = on', 'discard plans', 'set plan_cache_mode = force_generic_plan']) {
      await rows(q, text);
    }
    for (const {name, statement, arity} of found) {
      if (readInOrder.test(statement)) continue;
      const values = arity > 0 ? `(${Array.from({length: arity}, () => 'null').join(', ')})` : '';
      const [row] = await rows<{'QUERY PLAN': [{Plan: Plan}]}>(q, `explain (format json) execute ${name}${values}`);
      if (row) plans.set(statement, row['QUERY PLAN'][0].Plan);
    }
  }
  await Promise.all(connections.map(each => pool.releaseConnection(each)));
  return plans;
}

/** Of a look into the filled tables, in the planner's unit: a page read in order. All of the smallest takes twice that. */
const mostPages = 100;

/** The tables that are read from end to end, be it by way of an index, or for more than a few pages. */
function wholeTables(plan: Plan): string[] {
  const table = plan['Relation Name'] ?? '';
  const scans = /^(Seq|Index|Index Only) Scan$/.test(plan['Node Type']);
  const bounded = plan['Index Cond'] !== undefined || plan['Index Name'] === partialIndex;
  const whole = scans && tables.has(table) && (!bounded || plan['Total Cost'] > mostPages);
  return [...(whole ? [table] : []), ...(plan.Plans ?? []).flatMap(wholeTables)];
}
