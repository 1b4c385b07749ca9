// `--fields` of every command, read off the tree: what a command declares is what it prints, and another field is refused
// before anything is done.
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {createProgram} from '../../src/cli/program.ts';
import {commandReferences, type CommandReference} from '../../src/cli/reference.ts';
import {connect, parseDatabaseUrl} from '../../src/db/connect.ts';
import {startProcess, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {grandChat} from '../helpers/grandchat.ts';
import {seededCli} from '../helpers/seeded.ts';
import {until} from '../helpers/until.ts';

const commands = commandReferences(createProgram()).filter(each => each.fields !== null);

/** What fields a command takes may depend on these of its flags: with a value where they need one. */
const withValue: Record<string, string[]> = {'--count': ['--count', '2']};

function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

/** All rows but the settings of the database itself. */
async function rowsOf(url: string): Promise<string> {
  const db = await connect(parseDatabaseUrl(url));
  try {
    const tables = ['users', 'rooms', 'members', 'messages', 'outbox', 'outbox_parked', 'audit', 'imports'];
    return JSON.stringify(await Promise.all(tables.map(table => db.sql(table).select())));
  } finally {
    await db.close();
  }
}

for (const command of commands) {
  test(`${command.path} refuses a field that is not there before it does or reads anything`, async t => {
    const cli = await seededCli(t);
    const {DATABASE_URL = ''} = cli.env;
    await cli(['room', 'create', 'old']);
    await cli(['room', 'archive', 'old']);
    writeFileSync(join(cli.cwd, 'people.csv'), 'user,username\nerin,Erin\n');
    const before = await rowsOf(DATABASE_URL);
    const more = Object.keys(command.fields_with).map(flag => withValue[flag] ?? [flag]);
    for (const line of command.examples) {
      for (const flags of [[], ...more]) {
        const args = [...words(line), ...flags, '--fields', 'id,nme'];
        for (const env of [{}, {DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none'}]) {
          const {code, stdout, stderr} = await cli(args, {env, stdin: 'a line\n'});
          t.is(code, 2, `${args.join(' ')}: ${stderr}`);
          t.is(stdout, '');
          t.regex(stderr, /There is no field (?:id|nme) here\.[^]*The fields are /, args.join(' '));
        }
      }
    }
    t.is(await rowsOf(DATABASE_URL), before);
  });
}

test('a field that is nearly right is suggested, also below another', async t => {
  const cli = await seededCli(t);
  t.regex((await cli(['room', 'list', '--fields', 'nmae'])).stderr, /Did you mean name\?/);
  t.regex(
    (await cli(['room', 'list', '--fields', 'last_message.usr.id'])).stderr,
    /Did you mean last_message.user.id\?/,
  );
  t.is((await cli(['room', 'list', '--fields', 'last_message.nothing'])).code, 2);
});

test('what a result does not have, as one that went well no error, is empty', async t => {
  const cli = await seededCli(t);
  const add = ['member', 'add', 'general', 'carol', 'alice', '--fields', 'user,error.code,event.type'];
  t.is((await cli(add)).stdout, 'carol\t\tuser_joined\nalice\talready_member\t\n');
  const remove = ['member', 'remove', 'general', 'bob', '-o', 'ndjson', '--fields', 'user,error.code'];
  t.is((await cli(remove)).stdout, '{"user":"bob","error.code":null}\n');
});

test('fields are picked in a document too', async t => {
  const cli = await seededCli(t);
  writeFileSync(join(cli.cwd, 'people.csv'), 'user\nerin\n');
  const imported = ['member', 'import', 'general', 'people.csv', '--json', '--fields', 'added,existing'];
  t.is((await cli(imported)).stdout, '{"added":1,"existing":0}\n');
  const erased = ['user', 'erase', 'bob', '--messages', 'keep', '--confirm', 'bob', '--json', '--fields', 'mode'];
  t.deepEqual((await cli(erased)).at('erased'), {mode: 'keep'});
  const deleted = ['room', 'delete', 'general', '--confirm', 'general', '--json', '--fields', 'members'];
  t.deepEqual((await cli(deleted)).at('deleted'), {members: 2});
});

/** Below each value of an object, as `--fields` names it. */
function pathsOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [path];
  return Object.entries(value).flatMap(([key, each]) => pathsOf(each, path === '' ? key : `${path}.${key}`));
}

/** What else a command is run with than its examples, so that it prints everything it can. */
const moreRuns: Record<string, string[]> = {
  'room create': ['room create general --if-not-exists'],
  'room archive': ['room archive general nowhere --yes', 'room archive general --dry-run'],
  'room unarchive': ['room unarchive general nowhere --yes', 'room unarchive general --dry-run'],
  'member add': ['member add general alice carol', 'member add general carol --dry-run'],
  'member remove': [
    'member remove general bob nobody',
    'member remove general bob --dry-run',
    'member remove general --all --yes',
  ],
  'member import': ['member import general people.csv --event each'],
  'message post': [
    'message post general x --count 2 --as alice',
    'message post general {n}- --count 2 --dry-run',
    'message post general --lines --as alice',
  ],
  'message delete': ['message delete 1 99 --yes', 'message delete 1 --dry-run'],
  'message search': ['message search first'],
  export: ['export all.ndjson'],
  import: ['import backup.ndjson --mode upsert --yes'],
  'config check': ['config check wrong.json'],
  doctor: ['doctor --only node'],
  'outbox list': ['outbox list', 'outbox list --parked'],
  'outbox retry': ['outbox retry 1 99 --yes'],
  'outbox drop': ['outbox drop 1 99 --confirm outbox'],
  'import grandchat': ['import grandchat --url-file old-url.txt --dry-run'],
};

/** What is there before a command is run for what it prints. */
async function prepare(t: ExecutionContext, command: CommandReference, line: string): Promise<TestCli> {
  const cli = await seededCli(t);
  cli.env['CENTRIFUGO_API_KEY'] = 'of-the-fields';
  const {DATABASE_URL = ''} = cli.env;
  writeFileSync(join(cli.cwd, 'people.csv'), 'user,username\nerin,Erin\n');
  writeFileSync(join(cli.cwd, 'people.ndjson'), '{"user":"erin"}\n');
  writeFileSync(join(cli.cwd, 'wrong.json'), '{"nonsense":1}');
  await cli(['export', 'backup.ndjson']);
  if (command.path === 'room unarchive') await cli(['room', 'archive', 'general']);
  if (command.path === 'verify') await change(DATABASE_URL, ['delete from outbox where id > 1']);
  if (command.path === 'outbox retry' || command.path === 'outbox drop' || line.includes('--parked'))
    await change(DATABASE_URL, [
      `insert into outbox_parked (${parkedColumns}, parked_at, error) select ${parkedColumns}, created_at, 'refused' from outbox where id = 1`,
      'delete from outbox where id = 1',
    ]);
  if (command.path === 'trace' || command.path === 'verify') {
    await startProcess(t, cli, ['dev', '--json']).line('"ready"');
    await until(async () => (await cli(['outbox', 'list', '-o', 'id'])).stdout === '', 'the outbox to be empty');
  }
  if (command.path === 'import grandchat') writeFileSync(join(cli.cwd, 'old-url.txt'), await grandChat(t, 10));
  return cli;
}

const parkedColumns =
  'id, partition, room_id, type, idempotency_key, body, version, members_version, also_to, added, created_at';

async function change(url: string, statements: readonly string[]): Promise<void> {
  const db = await connect(parseDatabaseUrl(url));
  for (const statement of statements) await db.writer.raw(statement);
  await db.close();
}

function fieldsOf(command: CommandReference, args: readonly string[]): readonly string[] {
  const flag = Object.keys(command.fields_with).find(each => args.includes(each));
  return (flag === undefined ? command.fields : command.fields_with[flag]) ?? [];
}

/** What is printed is no things with fields: lines for people, or an export itself. */
const withoutFields = /--watch|--shell|^export --/;

for (const command of commands) {
  const can = command.path !== 'import grandchat' || databases.includes('postgres');
  (can ? test : test.skip)(`${command.path} prints the fields that it declares, and no others`, async t => {
    const printed = new Map<string, Set<string>>();
    const examples = command.path === 'doctor' ? [] : command.examples;
    for (const line of [...examples, ...(moreRuns[command.path] ?? [])]) {
      if (withoutFields.test(line) || line.includes('old-host')) continue;
      const cli = await prepare(t, command, line);
      const args = words(line.replace(/ --(?:output \S+|json)/, ''));
      const {stdout, stderr} = await cli([...args, '-o', 'ndjson'], {stdin: `ok\n${'x'.repeat(10_001)}\n`});
      t.notRegex(stderr, /Usage/, line);
      const known = fieldsOf(command, args).join();
      const seen = printed.get(known) ?? new Set();
      printed.set(known, seen);
      for (const item of stdout.split('\n').filter(Boolean))
        for (const path of pathsOf(JSON.parse(item))) seen.add(path);
    }
    for (const [fields, seen] of printed) {
      const known = fields.split(',');
      const isBelow = (path: string, top: string) => path === top || path.startsWith(`${top}.`);
      const extra = [...seen].filter(
        path => !known.some(each => isBelow(each, path) || (free.has(each) && isBelow(path, each))),
      );
      t.deepEqual(extra, [], 'printed, and not declared');
      const never = known.filter(each => ![...seen].some(path => isBelow(path, each)));
      t.deepEqual(never, [], 'declared, and not printed');
    }
    t.is(printed.size, 1 + new Set(Object.values(command.fields_with).map(String)).size);
  });
}

/** Of no fixed shape. */
const free = new Set(['event.data', 'detail', 'partitions', 'conflicts', 'refused', 'checksums']);
