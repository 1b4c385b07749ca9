// The databases alone doing the writes of a post: no HTTP, no rules, nothing but the rows.
import {execFile, spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import pg from 'pg';
import sqlite3 from 'sqlite3';
import {temporaryFolder} from './setup.ts';

const run = promisify(execFile);

/** Posts a second of some database, from so many connections or in batches of so many. */
export interface Alone {
  how: string;
  postsPerSecond(seconds: number): Promise<number>;
  close(): Promise<void>;
}

/** A post as one statement. `room` and `member` are numbers or what stands for them. */
function singlePost(room: string, member: string): string {
  const user = `'r' || ${room} || '-' || ${member}`;
  return `with room as (
    update rooms set version = version + 1, last_seq = last_seq + 1, bumped_at = now(),
      last_message_id = nextval(pg_get_serial_sequence('messages', 'id'))
    where id = ${room} returning id, version, members_version, last_seq, last_message_id, bumped_at
  ), message as (
    insert into messages (id, room_id, seq, version, user_id, author_key, content, created_at) overriding system value
    select last_message_id, id, last_seq, version, ${user}, ${user}, 'message of the benchmark', bumped_at from room
  ), marker as (
    update members set last_read_seq = room.last_seq from room where room_id = room.id and user_id = ${user}
  )
  insert into outbox (partition, room_id, type, idempotency_key, body, version, members_version, created_at)
  select id % 16, id, 'message_added', 'bench_' || last_message_id,
    '{"type":"message_added","body":{"id":1,"content":"message of the benchmark","user":{"id":"r1-1","username":"r1-1"},'
    || '"room":{"id":1,"version":1,"bumped_at":"2026-01-01T00:00:00.000Z"},"created_at":"2026-01-01T00:00:00.000Z"}}',
    version, members_version, bumped_at from room`;
}

const hasPgbench = spawnSync('pgbench', ['--version']).status === 0;

/** pgbench where it is on PATH, else a driver of our own with the same statement. */
export function postgresAlone(url: string, connections: number, rooms: number): Alone | Promise<Alone> {
  return hasPgbench ? pgbench(url, connections, rooms) : ownDriver(url, connections, rooms);
}

function pgbench(url: string, connections: number, rooms: number): Alone {
  const folder = temporaryFolder();
  const script = join(folder.path, 'post.sql');
  writeFileSync(
    script,
    `\\set room random(1, ${rooms})\n\\set member random(1, 10)\n${singlePost('(:room)::bigint', '(:member)::bigint')};\n`,
  );
  return {
    how: 'pgbench, prepared',
    async postsPerSecond(seconds) {
      const flags = ['-n', '-M', 'prepared', '-c', String(connections), '-j', '2', '-T', whole(seconds), '-f', script];
      const {stdout} = await run('pgbench', [...flags, url]);
      return Number(/tps = ([\d.]+)/.exec(stdout)?.[1]);
    },
    close: () => Promise.resolve(folder.remove()),
  };
}

/** pgbench takes no part of a second. */
function whole(seconds: number): string {
  return String(Math.max(Math.round(seconds), 1));
}

async function ownDriver(url: string, connections: number, rooms: number): Promise<Alone> {
  const clients = await Promise.all(
    Array.from({length: connections}, async () => {
      const client = new pg.Client({connectionString: url});
      await client.connect();
      return client;
    }),
  );
  const statement = {name: 'post', text: singlePost('$1::bigint', '$2::bigint')};
  const random = (limit: number) => 1 + Math.floor(Math.random() * limit);
  return {
    how: 'a driver over pg, prepared',
    async postsPerSecond(seconds) {
      const started = performance.now();
      let done = 0;
      await Promise.all(
        clients.map(async client => {
          while (performance.now() < started + seconds * 1_000) {
            await client.query({...statement, values: [random(rooms), random(10)]});
            done += 1;
          }
        }),
      );
      return (done * 1_000) / (performance.now() - started);
    },
    async close() {
      await Promise.all(clients.map(client => client.end()));
    },
  };
}

/** SQLite has one writer: the same rows in transactions of so many posts as can wait at once. */
export async function sqliteAlone(path: string, batch: number, rooms: number): Promise<Alone> {
  const db = new sqlite3.Database(path);
  const exec = (sql: string) =>
    new Promise<void>((resolve, reject) => {
      db.exec(sql, error => (error ? reject(error) : resolve()));
    });
  await exec('pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on');
  const times = (row: string) => Array.from({length: batch}, () => row).join(', ');
  const prepare = (sql: string) => {
    const statement = db.prepare(sql);
    const step = (values: readonly (string | number)[]) =>
      new Promise<void>((resolve, reject) => {
        statement.run(values, (error: Error | null) => (error ? reject(error) : resolve()));
      });
    return {step, finalize: () => new Promise<void>(resolve => statement.finalize(() => resolve()))};
  };
  const statements = {
    room: prepare(
      `update rooms set version = column2, last_seq = column2, bumped_at = column3 from (values ${times('(?, ?, ?)')}) as v
       where id = column1`,
    ),
    message: prepare(
      `insert into messages (room_id, seq, version, user_id, author_key, content, created_at) values ${times('(?, ?, ?, ?, ?, ?, ?)')}`,
    ),
    marker: prepare(
      `update members set last_read_seq = column3 from (values ${times('(?, ?, ?)')}) as v
       where room_id = column1 and user_id = column2`,
    ),
    outbox: prepare(
      `insert into outbox (partition, room_id, type, idempotency_key, body, version, members_version, created_at)
       values ${times('(?, ?, ?, ?, ?, ?, ?, ?)')}`,
    ),
  };
  const seqs = new Map<number, number>();
  let next = 0;
  const body = '{"type":"message_added","body":{"content":"message of the benchmark"}}'.padEnd(250);

  function posts() {
    const now = new Date().toISOString();
    return Array.from({length: batch}, () => {
      const room = 1 + (next++ % rooms);
      const seq = (seqs.get(room) ?? 0) + 1;
      seqs.set(room, seq);
      return {room, seq, user: `r${room}-1`, now, key: `bench_${next}`};
    });
  }

  async function transaction(): Promise<void> {
    const all = posts();
    await exec('begin immediate');
    await statements.message.step(
      all.flatMap(({room, seq, user, now}) => [room, seq, seq, user, user, 'message of the benchmark', now]),
    );
    await statements.room.step(all.flatMap(({room, seq, now}) => [room, seq, now]));
    await statements.marker.step(all.flatMap(({room, seq, user}) => [room, user, seq]));
    await statements.outbox.step(
      all.flatMap(({room, seq, now, key}) => [room % 16, room, 'message_added', key, body, seq, 0, now]),
    );
    await exec('commit');
  }

  return {
    how: `transactions of ${batch} posts`,
    async postsPerSecond(seconds) {
      const started = performance.now();
      let done = 0;
      while (performance.now() < started + seconds * 1_000) {
        await transaction();
        done += batch;
      }
      return (done * 1_000) / (performance.now() - started);
    },
    async close() {
      for (const each of Object.values(statements)) await each.finalize();
      await new Promise<void>(resolve => db.close(() => resolve()));
    },
  };
}
