// Every exit code that a command's help documents is reached: here, or where a server or a signal is needed in the test
// that is named. The list is read off the tree, so that a new code wants its line.
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {exitMeanings} from '../../src/cli/exit.ts';
import {createProgram} from '../../src/cli/program.ts';
import {commandReferences} from '../../src/cli/reference.ts';
import {loadConfig} from '../../src/config.ts';
import type {SqliteDriverName} from '../../src/db/drivers.ts';
import {claimFile} from '../../src/delivery/claims.ts';
import {openDatabase} from '../../src/open.ts';
import type {TestCli} from '../helpers/cli.ts';
import {mustTellNext} from '../helpers/next-step.ts';
import {seededCli} from '../helpers/seeded.ts';

/** What every command has, held by test/cli/contract as is 4 with its common meaning, and 3, which it finds a case for. */
const common = new Set([0, 1, 2, 3, 5, 130]);

/** Makes the case, and answers the arguments that then end with the code. */
type Scenario = (cli: TestCli, t: ExecutionContext) => Promise<string[]> | string[];

async function sql(cli: TestCli, ...statements: string[]): Promise<void> {
  const db = await openDatabase(loadConfig({env: cli.env, cwd: cli.cwd}));
  try {
    for (const statement of statements) await db.writer.raw(statement);
  } finally {
    await db.close();
  }
}

const ofAnotherDatabase = JSON.stringify({import: 'x', database: 'y', into: '1', rows: 1, input_hash: '', counts: {}});

/** As Knex's command line leaves it while it migrates. */
const knexRuns = (cli: TestCli) => sql(cli, 'update knex_migrations_lock set is_locked = 1');

async function goBack(cli: TestCli): Promise<void> {
  await cli(['migrate', 'down', '--confirm', 'chat.db']);
}

const scenarios: Record<string, Scenario> = {
  'migrate up 4': async cli => {
    await goBack(cli);
    await knexRuns(cli);
    return ['migrate', 'up'];
  },
  'migrate down 4': async cli => {
    await knexRuns(cli);
    return ['migrate', 'down', '--confirm', 'chat.db'];
  },
  'migrate status 8': async cli => {
    await goBack(cli);
    return ['migrate', 'status', '--check'];
  },
  'dev 4': async (cli, t) => {
    const {DATABASE_URL = '', SQLITE_DRIVER} = cli.env;
    const other = await claimFile(DATABASE_URL.replace('sqlite:', ''), SQLITE_DRIVER as SqliteDriverName | undefined);
    t.teardown(() => other.release());
    return ['dev'];
  },
  'init 4': async cli => {
    await cli(['init']);
    return ['init'];
  },
  'status 4': async cli => {
    await goBack(cli);
    return ['status'];
  },
  'config check 8': cli => {
    writeFileSync(join(cli.cwd, 'bad.json'), '{"PROT": "1"}');
    return ['config', 'check', 'bad.json'];
  },
  'room create 4': async cli => {
    await cli(['room', 'create', 'one', '--key', 'k']);
    return ['room', 'create', 'two', '--key', 'k'];
  },
  'room archive 7': () => ['room', 'archive', 'general', 'nowhere', '--yes'],
  'room unarchive 7': () => ['room', 'unarchive', 'general', 'nowhere', '--yes'],
  'member add 4': () => ['member', 'add', 'general', 'alice'],
  'member add 7': () => ['member', 'add', 'general', 'alice', 'carol'],
  'member remove 7': () => ['member', 'remove', 'general', 'alice', 'carol'],
  'member import 4': cli => {
    writeFileSync(join(cli.cwd, 'people.csv'), 'user\ncarol\n');
    writeFileSync(join(cli.cwd, 'people.csv.checkpoint.json'), ofAnotherDatabase);
    return ['member', 'import', 'general', 'people.csv'];
  },
  'member import 7': cli => {
    writeFileSync(join(cli.cwd, 'people.csv'), 'user\ncarol\nnot#an#id\n');
    return ['member', 'import', 'general', 'people.csv'];
  },
  'user export 4': () => ['user', 'export', 'alice', 'token.txt'],
  'user erase 4': () => 'user erase alice --messages keep --confirm alice --export token.txt'.split(' '),
  'seed 4': () => ['seed'],
  'export 4': () => ['export', 'token.txt'],
  'import 4': async cli => {
    await cli(['export', 'backup.ndjson']);
    const [head = ''] = readFileSync(join(cli.cwd, 'backup.ndjson'), 'utf8').split('\n');
    writeFileSync(join(cli.cwd, 'cut.ndjson'), `${head}\n`);
    return ['import', 'cut.ndjson', '--yes'];
  },
  'import 7': async cli => {
    await cli(['export', 'backup.ndjson']);
    return ['import', 'backup.ndjson', '--yes'];
  },
  'message post 4': () => ['message', 'post', 'general', 'hi', '--as', 'carol'],
  'message post 7': () => ['message', 'post', 'general', '--lines'],
  'message post 9': () => ['message', 'post', 'general', 'hi', '--wait', 'delivered', '--timeout', '50ms'],
  'message tail 9': () => ['message', 'tail', 'general', '--count', '9', '--timeout', '50ms'],
  'message delete 7': () => ['message', 'delete', '1', '999999', '--yes'],
  'user upsert 4': async cli => {
    await sql(cli, `update users set erased_at = '2026-01-01T00:00:00.000Z' where id = 'bob'`);
    return ['user', 'upsert', 'bob'];
  },
  'token verify 6': cli => {
    writeFileSync(join(cli.cwd, 'token.txt'), 'nonsense');
    return ['token', 'verify', '--file', 'token.txt'];
  },
  'outbox status 8': async cli => {
    await sql(cli, `update outbox set created_at = '2026-01-01T00:00:00.000Z'`);
    return ['outbox', 'status', '--max-lag', '1s'];
  },
  'outbox retry 7': async cli => {
    await park(cli);
    return ['outbox', 'retry', '1', '999999', '--yes'];
  },
  'outbox drop 7': async cli => {
    await park(cli);
    return ['outbox', 'drop', '1', '999999', '--confirm', 'outbox'];
  },
  'trace 9': cli => {
    cli.env['CENTRIFUGO_API_KEY'] = 'key';
    return ['trace', '1', '--wait', '50ms'];
  },
  'doctor 8': async cli => {
    await goBack(cli);
    return ['doctor', '--only', 'database'];
  },
  'centrifugo config 4': () => ['centrifugo', 'config', '--out', 'token.txt'],
  'docs 4': async cli => {
    await cli(['docs', '--out', 'reference']);
    return ['docs', '--out', 'reference'];
  },
};

const columns =
  'id, partition, room_id, type, idempotency_key, body, version, members_version, also_to, added, created_at';

/** Sets an event aside as the relay does with one that is refused. */
function park(cli: TestCli): Promise<void> {
  return sql(
    cli,
    `insert into outbox_parked (${columns}, parked_at, error) select ${columns}, created_at, 'refused' from outbox where id = 1`,
    'delete from outbox where id = 1',
  );
}

const stdin: Record<string, string> = {'message post 7': `ok\n${'x'.repeat(10_001)}\n`};

/** By the test's file, and what stands there. */
const elsewhere: Record<string, [string, string]> = {
  'serve 4': ['process', 't.is(pending.code, 4)'],
  'serve 143': ['process', 't.is(code, 143)'],
  'dev 143': ['seed', 't.is(stopped.code, 143'],
  'message post 6': ['message', '.code, 6)'],
  'listen 6': ['listen', 't.is(refused.code, 6)'],
  'listen 8': ['listen', 't.is(wrong.code, 8, wrong.stderr)'],
  'listen 9': ['listen', 't.is(silence.code, 9)'],
  'import grandchat 4': ['grandchat', 't.is(again.code, 4'],
  'import grandchat 7': ['grandchat', 't.is(partial.code, 7'],
  'smoke 8': ['smoke', 't.is(wrongApi.code, 8)'],
  'smoke 9': ['smoke', 't.is(code, 9)'],
  'trace 8': ['delivery', 't.is(traced.code, 8'],
  'verify 8': ['delivery', 't.is(found.code, 8)'],
};

const documented = commandReferences(createProgram()).flatMap(({path, exit_codes}) =>
  exit_codes
    .filter(({code, meaning}) => !common.has(code) && meaning !== exitMeanings.conflict)
    .map(({code, meaning}) => ({name: `${path} ${code}`, code, meaning})),
);

for (const {name, code, meaning} of documented) {
  test(`${name}: ${meaning}`, async t => {
    const scenario = scenarios[name];
    const other = elsewhere[name];
    if (other) {
      const [file, text] = other;
      return t.true(readFileSync(`test/cli/${file}.test.ts`, 'utf8').includes(text), `${file} no longer has: ${text}`);
    }
    if (!scenario) return t.fail(`No test reaches exit code ${name}. Add a case here, or name the test that does.`);
    const cli = await seededCli(t);
    const args = await scenario(cli, t);
    const ended = await cli(args, {stdin: stdin[name] ?? ''});
    t.is(ended.code, code, ended.stderr);
    mustTellNext(t, ended.stderr);
  });
}

test('every case is of a code that a command documents', t => {
  const names = new Set(documented.map(each => each.name));
  t.deepEqual(
    [...Object.keys(scenarios), ...Object.keys(elsewhere)].filter(name => !names.has(name)),
    [],
  );
});
