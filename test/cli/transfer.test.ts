import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {join} from 'node:path';
import {gunzipSync} from 'node:zlib';
import test from 'ava';
import {loadConfig} from '../../src/config.ts';
import {parse, PostMessage} from '../../src/core/input.ts';
import {postMessage} from '../../src/core/post-queue.ts';
import {resolveRoom} from '../../src/core/rooms.ts';
import {openChat} from '../../src/open.ts';
import {operator} from '../helpers/chat.ts';
import {startProcess, testCli, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {makeDear} from '../helpers/halfway.ts';
import {until} from '../helpers/until.ts';

/** A chat with everything an export has to carry. */
async function lively(cli: TestCli): Promise<void> {
  await cli(['seed', '--users', '30', '--rooms', '3', '--messages', '40']);
  await cli(['room', 'create', 'keyed', '--key', 'order-1', '--private', '--member', 'alice']);
  await cli(['message', 'post', 'keyed', 'as the system, with "quotes" and ünïcödé']);
  await cli(['message', 'post', 'keyed', 'once', '--as', 'alice', '--idempotency-key', 'k-1']);
  await cli(['message', 'delete', '41']);
  await cli(['room', 'archive', 'keyed']);
  await cli(['user', 'deactivate', 'tara', '--yes']);
  await cli(['room', 'create', 'empty']);
}

async function eventsOf(cli: TestCli): Promise<{type: string; room: number; version: number}[]> {
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  try {
    const rows = await chat.db.sql('outbox').orderBy('room_id');
    return rows.map(row => ({type: String(row.type), room: Number(row.room_id), version: Number(row.version)}));
  } finally {
    await chat.close();
  }
}

async function hashOf(cli: TestCli): Promise<string> {
  return hashIn((await cli(['export'])).stdout);
}

function hashIn(stdout: string): string {
  return (JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as {sha256: string}).sha256;
}

for (const database of databases) {
  test(`${database}: what is exported and imported into an empty database is the same, and new ids come after it`, async t => {
    const from = await testCli(t, database);
    await lively(from);
    const written = await from(['export', 'backup.gz', '--gzip', '--json']);
    t.is(written.code, 0, written.stderr);
    t.is(statSync(join(from.cwd, 'backup.gz')).mode & 0o777, 0o600);
    t.is((await from(['export', 'backup.gz'])).code, 4);

    for (const other of databases) {
      const to = await testCli(t, other);
      const file = join(from.cwd, 'backup.gz');
      t.is((await to(['import', file])).code, 2, 'unconfirmed');
      const nowhere = {DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none'};
      const looked = await to(['import', file, '--validate-only', '--json'], {env: nowhere});
      t.is(looked.at('valid'), true, looked.stderr);
      const dry = await to(['import', file, '--dry-run', '--json']);
      t.is(dry.code, 0, dry.stderr);
      t.is((await to(['room', 'list'])).stdout, '');
      const loaded = await to(['import', file, '--yes', '--event', 'none', '--batch', '17', '--json']);
      t.is(loaded.code, 0, loaded.stderr);
      t.is(loaded.at('added'), dry.at('added'));
      t.is(await hashOf(to), String(written.at('sha256')), other);
      t.deepEqual(await eventsOf(to), []);
      const show = ['room', 'show', 'general', '--json', '--members'];
      t.deepEqual(JSON.parse((await to(show)).stdout), JSON.parse((await from(show)).stdout));
      t.is((await to(['room', 'create', 'next', '-o', 'id'])).stdout, '6\n');
      const posted = await to(['message', 'post', 'general', 'next', '--json']);
      t.is(posted.at('message.id'), 43);
      t.is((await to(['import', file, '--yes', '--json'])).code, 7, 'rooms that are here are refused');
    }
  });

  test(`${database}: an import tells each room by one event, and writes over what is here only by its name`, async t => {
    const from = await testCli(t, database);
    await lively(from);
    await from(['export', 'backup.ndjson']);
    const file = join(from.cwd, 'backup.ndjson');
    const to = await testCli(t, database);
    t.is((await to(['import', file, '--yes'])).code, 0);
    const versions = new Map((await eventsOf(to)).map(each => [each.room, each.type]));
    t.deepEqual(
      [...versions],
      [1, 2, 3, 4].map(room => [room, 'members_changed']),
    );
    await to(['room', 'rename', 'general', 'changed']);
    t.is((await to(['import', file, '--mode', 'upsert', '--yes'])).code, 2);
    const name = new URL(to.env['DATABASE_URL'] ?? '').pathname.split('/').at(-1) ?? '';
    const over = await to(['import', file, '--mode', 'upsert', '--confirm', name, '--json']);
    t.is(over.code, 0, over.stderr);
    t.true(Number(over.at('updated')) > 0);
    const shown = await to(['room', 'show', 'id:1', '--json']);
    t.is(shown.at('room.name'), 'general');
    t.is(shown.at('room.version'), Number((await from(['room', 'show', 'id:1', '--json'])).at('room.version')) + 3);
  });

  test(`${database}: an import that is killed goes on to the same`, async t => {
    const from = await testCli(t, database);
    await from(['seed', '--users', '400', '--rooms', '6', '--messages', '600']);
    await from(['export', 'backup.ndjson']);
    const to = await testCli(t, database);
    const file = join(to.cwd, 'backup.ndjson');
    writeFileSync(file, readFileSync(join(from.cwd, 'backup.ndjson')));
    const args = ['import', 'backup.ndjson', '--yes', '--event', 'none', '--batch', '10'];
    const running = startProcess(t, to, args);
    const rows = () => /"rows":(\d+)/.exec(readOr(`${file}.checkpoint.json`))?.[1] ?? 0;
    await until(() => Number(rows()) >= 450, 'members', 25_000);
    running.child.kill('SIGKILL');
    await running.ended;
    t.is((await to(args)).code, 4);
    const other = await to(['import', 'backup.ndjson', '--yes', '--mode', 'upsert', '--resume']);
    t.is(other.code, 4);
    t.regex(
      other.stderr,
      /begun with --mode insert.*\nGo on with --resume --mode insert, or with --resume and no --mode/,
    );
    const resumed = await to([...args, '--resume', '--json']);
    t.is(resumed.code, 0, resumed.stderr);
    t.is(await hashOf(to), await hashOf(from));
  });

  test(`${database}: an export is of one moment while posts go on`, async t => {
    const cli = await testCli(t, database);
    await cli(['seed', '--users', '10', '--rooms', '2', '--messages', '1500']);
    const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
    t.teardown(() => chat.close());
    const room = (await resolveRoom(chat, operator, 'general')).id;
    const posting = (async () => {
      for (let i = 0; i < 300; i++) await postMessage(chat, operator, room, parse(PostMessage, {content: `m${i}`}));
    })();
    const exports = [await cli(['export']), await cli(['export'])];
    await posting;
    for (const {stdout} of exports) {
      const lines = stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line) as Record<string, number>);
      for (const room of lines.filter(each => String(each['type']) === 'room')) {
        const own = lines.filter(each => String(each['type']) === 'message' && each['room'] === room['id']);
        t.is(own.length, room['last_seq'] ?? -1);
      }
    }
  });

  test(`${database}: the same number seeds the same, another one another`, async t => {
    const [one, same, other] = [await testCli(t, database), await testCli(t, database), await testCli(t, database)];
    await one(['seed']);
    await same(['seed', '--random', '1']);
    await other(['seed', '--random', '2']);
    const lines = async (cli: TestCli) =>
      (await cli(['export'])).stdout
        .split('\n')
        .slice(1)
        .join('\n')
        .replaceAll(/"(joined_at|head_sha256)":"[^"]*"/g, '');
    t.is(await lines(one), await lines(same));
    t.not(await lines(one), await lines(other));
    t.is((await one(['seed'])).code, 4);
    t.is((await one(['seed', '--append', '--yes'])).code, 2);
    const name = new URL(one.env['DATABASE_URL'] ?? '').pathname.split('/').at(-1) ?? '';
    t.is((await one(['seed', '--append', '--confirm', name])).code, 0);
    t.is((await one(['room', 'list', '--all', '-o', 'id'])).stdout.trim().split('\n').length, 10);
    t.is((await other(['seed', '--append', '--confirm', 'x'], {env: {NODE_ENV: 'production'}})).code, 2);
    t.is((await (await testCli(t, database))(['seed'], {env: {NODE_ENV: 'production'}})).code, 2);
  });
}

function readOr(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const pipes = process.platform === 'win32' ? test.skip : test;

pipes('an export into a pipe goes through it and does not take its place', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['seed', '--users', '2', '--rooms', '1', '--messages', '1']);
  const pipe = join(cli.cwd, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const [read, written] = await Promise.all([readFile(pipe, 'utf8'), cli(['export', 'pipe'])]);
  t.is(written.code, 0, written.stderr);
  t.is(hashIn(read), await hashOf(cli));
  t.true(statSync(pipe).isFIFO());
});

test('a damaged export is refused before anything is written, and lines that cannot be are written aside', async t => {
  const from = await testCli(t, 'sqlite');
  await lively(from);
  await from(['export', 'backup.ndjson']);
  await from(['export', 'backup.gz', '--gzip']);
  const text = readFileSync(join(from.cwd, 'backup.ndjson'), 'utf8');
  const lines = text.trim().split('\n');
  const packed = readFileSync(join(from.cwd, 'backup.gz'));
  t.is(gunzipSync(packed).toString().split('\n').length, lines.length + 1);
  const damaged: Record<string, string | Buffer> = {
    'cut.ndjson': lines.slice(0, -1).join('\n'),
    'changed.ndjson': text.replace('"username":"Alice', '"username":"Mallory'),
    'cut.gz': packed.subarray(0, packed.length - 20),
    'other.ndjson': '{"hello":1}\n',
    'newer.ndjson': text.replace('"version":1', '"version":2'),
    'empty.ndjson': '',
  };
  const to = await testCli(t, 'sqlite');
  for (const [name, content] of Object.entries(damaged)) {
    writeFileSync(join(to.cwd, name), content);
    const {code, stderr} = await to(['import', name, '--yes']);
    t.true([2, 4].includes(code), `${name}: ${stderr}`);
    t.regex(stderr, /^Error: .*(damaged|not an export|has format 2)/, name);
    t.notRegex(stderr, /\n\s+at /);
  }
  t.is((await to(['user', 'list'])).stdout, '');
  t.is((await to(['import', 'absent', '--yes'])).code, 3);
});

test('what is wrong with a line of an export is told in plain words, and a line that was cut off as such', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['export', 'backup.ndjson']);
  const [head = ''] = readFileSync(join(cli.cwd, 'backup.ndjson'), 'utf8').split('\n');
  const user = {type: 'user', id: 'alice', username: 'Alice', created_at: '2026-01-31T12:00:00.000Z'};
  const whole = {...user, deactivated_at: null, erased_at: null};
  const says: [string, RegExp][] = [
    [JSON.stringify(whole).slice(0, 40), /Rejected: the line is cut off, or no JSON: \{"type":"user"/],
    ['{"ty', /Rejected: the line is cut off, or no JSON: \{"ty/],
    [JSON.stringify(user), /Rejected: deactivated_at is required:/],
    [JSON.stringify({...whole, username: 5}), /Rejected: username must be a string:/],
    [JSON.stringify({...whole, colour: 'red'}), /Rejected: colour is no field of such a line:/],
    [JSON.stringify({...whole, created_at: 'today'}), /Rejected: created_at must be a time such as/],
    [JSON.stringify({type: 'robot'}), /Rejected: the line is of no kind known here:/],
  ];
  const rejects = JSON.stringify({...(JSON.parse(head) as object), rejects: true});
  writeFileSync(join(cli.cwd, 'bad.ndjson'), [rejects, ...says.map(([line]) => line), ''].join('\n'));
  const {code, stderr} = await cli(['import', 'bad.ndjson', '--validate-only']);
  t.is(code, 7);
  for (const [, pattern] of says) t.regex(stderr, pattern);
  t.notRegex(stderr, /Invalid|expected|received/);
});

/** An export whose first line says this of its ids, without the hash that would tell of the change or with it. */
function withHighest(text: string, highest: object, proven = false): string {
  const [head = '', ...rest] = text.trim().split('\n');
  const changed = JSON.stringify({...(JSON.parse(head) as object), highest});
  const end = JSON.parse(rest.pop() ?? '') as object;
  return `${[changed, ...rest, JSON.stringify({...end, ...(!proven && {head_sha256: undefined})})].join('\n')}\n`;
}

test('numbers that an import would go on from are refused where they cannot be, before anything is written', async t => {
  const from = await testCli(t, 'sqlite');
  await lively(from);
  await from(['export', 'backup.ndjson']);
  const text = readFileSync(join(from.cwd, 'backup.ndjson'), 'utf8');
  const to = await testCli(t, 'sqlite');
  const refused = async (title: string, content: string, why: RegExp) => {
    writeFileSync(join(to.cwd, 'changed.ndjson'), content);
    const {code, stderr} = await to(['import', 'changed.ndjson', '--yes']);
    t.is(code, 4, title);
    t.regex(stderr, why, title);
    t.is((await to(['import', 'changed.ndjson', '--validate-only'])).code, 4, title);
  };
  await refused('negative', withHighest(text, {rooms: -1, messages: 50}), /damaged: of its first line, highest\.rooms/);
  await refused('absent', withHighest(text, {rooms: 5}), /damaged: of its first line, highest\.messages/);
  await refused('a fraction', withHighest(text, {rooms: 5.5, messages: 50}), /highest\.rooms/);
  const most = {rooms: 5, messages: Number.MAX_SAFE_INTEGER};
  await refused('leaves no numbers', withHighest(text, most), /highest\.messages must be at most 4503599627370496\./);
  const less = withHighest(text, {rooms: 5, messages: 7});
  await refused('too small', less, /its first line says that ids of messages go up to 7, and it has 42/);
  const more = withHighest(text, {rooms: 500, messages: 5_000}, true);
  await refused('changed', more, /its first line is not the one that was written/);
  t.is((await to(['user', 'list'])).stdout, '');

  const {stdout: id} = await to(['room', 'create', 'first', '-o', 'id']);
  t.is(id, '1\n', 'no number was lost');
});

for (const database of databases) {
  test(`${database}: a line whose numbers leave none to go on from is refused alone, and ids stay exact`, async t => {
    const to = await testCli(t, database);
    const rejects = [
      {
        type: 'chatctl_export',
        version: 1,
        exported_at: '',
        database: '',
        kinds: ['rooms'],
        highest: {rooms: 9, messages: 9},
        rejects: true,
      },
      ...[{id: Number.MAX_SAFE_INTEGER}, {id: 7, version: Number.MAX_SAFE_INTEGER}, {id: 8}].map(roomLine),
    ];
    writeFileSync(join(to.cwd, 'bad.ndjson'), rejects.map(each => `${JSON.stringify(each)}\n`).join(''));
    const loaded = await to(['import', 'bad.ndjson', '--yes', '--json']);
    t.is(loaded.code, 7, loaded.stderr);
    t.is(loaded.at('added'), 1);
    t.regex(loaded.stderr, /id must be at most 4503599627370496/);
    t.is((await to(['room', 'create', 'next', '-o', 'id'])).stdout, '10\n');
  });
}

function roomLine(fields: object): object {
  const times = {created_at: '2026-01-01T00:00:00.000Z', bumped_at: '2026-01-01T00:00:00.000Z', archived_at: null};
  const numbers = {version: 0, last_seq: 0, last_message_id: null};
  return {type: 'room', key: null, name: 'numbered', visibility: 'public', ...numbers, ...times, ...fields};
}

test('what an import refused is mended in the file of the rejects, and imported as it is', async t => {
  const from = await testCli(t, 'sqlite');
  await from(['room', 'create', 'general', '--member', 'alice']);
  await from(['room', 'create', 'taken', '--key', 'k', '--member', 'alice']);
  await from(['message', 'post', 'general', 'one']);
  await from(['message', 'post', 'taken', 'two', '--as', 'alice']);
  await from(['export', 'backup.ndjson']);
  const to = await testCli(t, 'sqlite');
  const file = join(from.cwd, 'backup.ndjson');
  await to(['user', 'upsert', 'carol']);
  const stale = await to(['room', 'create', 'other', '--key', 'k', '--json']);
  t.is(stale.at('room.id'), 1);
  const first = await to(['import', file, '--yes', '--rejects', 'bad.ndjson', '--json']);
  t.is(first.code, 7, first.stderr);
  const bad = join(to.cwd, 'bad.ndjson');
  const lines = readFileSync(bad, 'utf8').trim().split('\n');
  t.is(lines.length, Number(first.at('rejected')) + 1);
  t.regex(lines[0] ?? '', /^\{"type":"chatctl_export".*"rejects":true/);
  t.true(
    lines.slice(1).every(line => /"reason":"[^"]+"\}$/.test(line)),
    lines.join('\n'),
  );
  t.is((await to(['import', 'bad.ndjson', '--yes', '--json'])).at('added'), 0, 'not mended, nothing goes in');
  writeFileSync(bad, `${lines.join('\n').replaceAll(/"id":1,/g, '"id":9,')}\n`);
  t.is((await to(['import', 'bad.ndjson', '--dry-run', '--json'])).at('added'), 1, 'members stay out of another room');

  writeFileSync(
    bad,
    `${lines
      .join('\n')
      .replaceAll(/"(room|id)":1,/g, '"$1":9,')
      .replace('"key":"k"', '"key":"l"')}\n`,
  );
  const looked = await to(['import', 'bad.ndjson', '--validate-only', '--json']);
  t.is(looked.at('valid'), true, looked.stderr);
  const mended = await to(['import', 'bad.ndjson', '--yes', '--json']);
  t.is(mended.code, 0, mended.stderr);
  t.is(mended.at('added'), lines.length - 1);
  t.is((await to(['message', 'list', 'general', '--fields', 'content'])).stdout, 'one\n');
  t.is((await to(['message', 'list', 'key:l', '--fields', 'content'])).stdout, 'two\n');
});

test('Ctrl-C ends the batch of an import, tells the whole line that goes on, and exits 130', async t => {
  const from = await testCli(t, 'sqlite');
  await from(['seed', '--users', '400', '--rooms', '6', '--messages', '600']);
  await from(['export', 'backup.ndjson']);
  const to = await testCli(t, 'sqlite');
  const file = join(to.cwd, 'backup.ndjson');
  writeFileSync(file, readFileSync(join(from.cwd, 'backup.ndjson')));
  const args = [
    'import',
    'backup.ndjson',
    '--yes',
    '--event',
    'none',
    '--batch',
    '10',
    '--rejects',
    'my bad.ndjson',
    '--json',
  ];
  const chat = await openChat(loadConfig({env: to.env, cwd: to.cwd}));
  t.teardown(() => chat.close());
  const cheap = await makeDear(chat.db, 'messages', 1_000_000);
  const running = startProcess(t, to, args);
  await until(() => /"rows":[1-9]/.test(readOr(`${file}.checkpoint.json`)), 'the first batch', 25_000);
  running.child.kill('SIGINT');
  const {code, stderr} = await running.ended;
  await cheap();
  t.is(code, 130, stderr);
  const [, line = ''] = /Go on with: .*?chatctl\.js (.*)/.exec(stderr) ?? [];
  t.is(
    line,
    "import backup.ndjson --mode insert --event none --batch 10 --rejects 'my bad.ndjson' --resume --json --yes",
  );
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
  t.is((await to(words)).code, 0);
  t.is(await hashOf(to), await hashOf(from));
});

const withPostgres = databases.includes('postgres') ? test : test.skip;

withPostgres('Ctrl-C in an export leaves no half of a file, and exits 130', async t => {
  const cli = await testCli(t, 'postgres');
  t.is((await cli(['seed', '--users', '2000', '--messages', '20000'])).code, 0);
  const chat = await openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
  t.teardown(() => chat.close());
  // The export has written the users, and waits for the messages.
  const held = await chat.db.sql.transaction();
  await held.raw('lock table messages in access exclusive mode');
  const running = startProcess(t, cli, ['export', 'backup.ndjson']);
  await until(() => readOr(join(cli.cwd, 'backup.ndjson.part')) !== '', 'the users');
  running.child.kill('SIGINT');
  await held.rollback();
  const stopped = await running.ended;
  t.is(stopped.code, 130, stopped.stderr);
  t.regex(stopped.stderr, /Stopped\. No file was written\./);
  t.deepEqual(readdirSync(cli.cwd), []);
});
