import {chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import test from 'ava';
import {parse} from 'yaml';
import {migrations} from '../../src/db/migrations.ts';
import {databases} from '../helpers/database.ts';
import {bareCli, runProcess, testCli, type TestCli} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';

/** Without settings of its own, as in an empty folder of a newcomer. */
const empty = {DATABASE_URL: '', JWT_SECRET: '', CENTRIFUGO_TOKEN_SECRET: '', PORT: '', REALTIME_PORT: ''};

function modeOf(cli: TestCli, path: string): number {
  return statSync(join(cli.cwd, path)).mode & 0o777;
}

test('init makes settings with secrets that nobody else reads, and touches nothing that is there', async t => {
  const cli = await bareCli(t, 'sqlite');
  const made = await cli(['init', '--json'], {env: empty});
  t.is(made.code, 0, made.stderr);
  t.is(made.at('files.0.path'), '.chatctl/config.json');
  t.is(made.at('files.0.action'), 'created');
  t.deepEqual(made.at('next'), ['chatctl dev']);
  t.is(modeOf(cli, '.chatctl'), 0o700);
  t.is(modeOf(cli, '.chatctl/config.json'), 0o600);
  const settings = readFileSync(join(cli.cwd, '.chatctl/config.json'), 'utf8');
  t.is((await cli(['config', 'check', '--strict'], {env: empty})).code, 0);
  for (const secret of Object.values(JSON.parse(settings) as Record<string, string>))
    t.false(made.stdout.includes(secret));

  const again = await cli(['init', '--json'], {env: empty});
  t.is(again.code, 4);
  t.is(again.at('error.code'), 'file_exists');
  t.is(readFileSync(join(cli.cwd, '.chatctl/config.json'), 'utf8'), settings);
  const forced = await cli(['init', '--force', '--centrifugo', 'docker', '--json'], {env: empty});
  t.is(forced.at('files.0.action'), 'replaced');
  const {CENTRIFUGO_API_URL: url, ...secrets} = JSON.parse(
    readFileSync(join(cli.cwd, '.chatctl/config.json'), 'utf8'),
  ) as Record<string, string>;
  t.is(url, 'http://127.0.0.1:8000');
  t.deepEqual(secrets, JSON.parse(settings));
});

test('init for PostgreSQL and Centrifugo in Docker writes a compose file whose secrets lie in files of their own', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, stderr} = await cli(['init', 'chat', '--db', 'postgres', '--centrifugo', 'docker'], {env: empty});
  t.is(code, 0, stderr);
  t.regex(stderr, /Next: cd chat\nNext: docker compose up -d/);
  const read = (path: string) => readFileSync(join(cli.cwd, 'chat', path), 'utf8');
  const settings = JSON.parse(read('.chatctl/config.json')) as Record<string, string>;
  const {services} = parse(read('compose.yaml')) as {services: Record<string, {env_file: string}>};
  t.deepEqual(Object.keys(services), ['centrifugo', 'postgres']);
  t.is(services['centrifugo']?.env_file, '.chatctl/centrifugo.env');
  t.true(read('.chatctl/centrifugo.env').includes(`KEY=${settings['CENTRIFUGO_API_KEY']}`));
  const {password} = new URL(settings['DATABASE_URL'] ?? '');
  const [, superuser = ''] = /^POSTGRES_PASSWORD=(.{40,})$/m.exec(read('.chatctl/postgres.env')) ?? [];
  t.regex(read('.chatctl/postgres.env'), new RegExp(`^CHATCTL_PASSWORD=${password}$`, 'm'));
  t.not(superuser, password);
  t.notRegex(read('.chatctl/postgres.env'), /POSTGRES_(?:USER|DB)/);
  t.is(modeOf(cli, 'chat/.chatctl/postgres.env'), 0o600);
  for (const open of ['compose.yaml', 'centrifugo.json', 'postgres.sql']) {
    for (const secret of [superuser, ...Object.values(settings)]) t.false(read(open).includes(secret), open);
  }
  // The volume keeps what it was made with.
  const before = read('.chatctl/postgres.env');
  t.is((await cli(['init', 'chat', '--db', 'postgres', '--force'], {env: empty})).code, 0);
  t.is(read('.chatctl/postgres.env'), before);
});

test('init --print and --dry-run write nothing, and print no secret', async t => {
  const cli = await bareCli(t, 'sqlite');
  const printed = await cli(['init', '--print', '--db', 'postgres', '--centrifugo', 'docker'], {env: empty});
  t.is(printed.code, 0);
  t.regex(printed.stdout, /# compose\.yaml\n[\s\S]*image: centrifugo/);
  t.regex(printed.stdout, /<made by chatctl init>/);
  t.is((await cli(['init', '--dry-run'], {env: empty})).code, 0);
  t.false(existsSync(join(cli.cwd, '.chatctl')));
});

test('init refuses what it cannot do', async t => {
  const cli = await bareCli(t, 'sqlite');
  t.is((await cli(['init', '--db', 'mysql://x'], {env: empty})).code, 2);
  t.is((await cli(['init', '--centrifugo', 'url'], {env: empty})).code, 2);
  writeFileSync(join(cli.cwd, 'file'), '');
  t.is((await cli(['init', 'file'], {env: empty})).code, 2);
  t.false(existsSync(join(cli.cwd, '.chatctl')));
});

test('what init cannot put in its place it leaves nowhere else', async t => {
  const cli = await bareCli(t, 'sqlite');
  mkdirSync(join(cli.cwd, '.chatctl/config.json'), {recursive: true});
  const {code, stderr} = await cli(['init', '--force'], {env: empty});
  t.is(code, 2);
  t.regex(stderr, /config\.json cannot be written/);
  t.deepEqual(readdirSync(join(cli.cwd, '.chatctl')), ['config.json']);
});

// In processes of their own: Node's way to make a folder with those above it never comes back from there.
for (const {args, exit} of [
  {args: ['init', 'chatctl/chat'], exit: 2},
  {args: ['docs', '--out', 'chatctl/docs'], exit: 2},
  {args: ['dev'], exit: 2},
  {args: ['migrate', 'up', '--db', 'sqlite:/proc/chatctl/chat.db'], exit: 5},
]) {
  test(`${args.join(' ')} where nothing can be made says so`, async t => {
    const cli = await bareCli(t, 'sqlite');
    cli.cwd = '/proc';
    const {code, stderr} = await runProcess(t, cli, args);
    t.is(code, exit, stderr);
    t.regex(stderr, /^Error: The (?:file|folder|database file) \/proc\/.* cannot be (?:written|made)/);
  });
}

test('config show masks secrets, tells where each value is from, and reveals only when asked to', async t => {
  const cli = await bareCli(t, 'sqlite');
  const url = 'postgres://me:canary-password@db-1/chat';
  const shown = await cli(['config', 'show', '--origin'], {env: {DATABASE_URL: url}});
  t.is(shown.code, 0, shown.stderr);
  t.regex(shown.stdout, /^JWT_SECRET\t\*{8}\tenvironment$/m);
  t.regex(shown.stdout, /^DATABASE_URL\tpostgres:\/\/me:\*{8}@db-1\/chat\tenvironment$/m);
  t.regex(shown.stdout, /^HOST\t127\.0\.0\.1\tdefault$/m);
  t.false(/canary|test-api-secret/.test(shown.stdout + shown.stderr));
  const flag = await cli(['config', 'show', '--origin', '--db', 'postgres://me@db-1/chat']);
  t.regex(flag.stdout, /^DATABASE_URL\tpostgres:\/\/me@db-1\/chat\tflag$/m);
  const revealed = await cli(['config', 'show', '--reveal', '--json']);
  t.true(revealed.stdout.includes('test-api-secret'));
});

test('config check tells all that is wrong with a file, and never a value', async t => {
  const cli = await bareCli(t, 'sqlite');
  t.is((await cli(['config', 'check', 'nowhere.json'])).code, 3);
  writeFileSync(join(cli.cwd, 'bad.json'), '{"PROT": "1", "PORT": "canary", "HOST": 5}');
  const bad = await cli(['config', 'check', 'bad.json', '--json']);
  t.is(bad.code, 8);
  t.is(bad.at('ok'), false);
  t.is(bad.at('errors.0.message'), 'There is no setting PROT. Did you mean PORT?');
  t.is(bad.at('errors.2.path'), 'HOST');
  t.false(bad.stdout.includes('canary'));
  mkdirSync(join(cli.cwd, '.chatctl'));
  writeFileSync(join(cli.cwd, '.chatctl/config.json'), '{"PROT": "1", "NOPE": "2"}');
  const broken = await cli(['config', 'check', '--json']);
  t.is(broken.code, 8);
  t.is(broken.at('errors.1.path'), 'NOPE');
  writeFileSync(join(cli.cwd, '.chatctl/config.json'), '{');
  t.is((await cli(['config', 'check'])).code, 8);
  writeFileSync(join(cli.cwd, '.chatctl/config.json'), '{}');
  t.is((await cli(['config', 'check'])).code, 0);
  const sample = await cli(['config', 'check', '--json'], {env: {JWT_SECRET: 'changeme'}});
  t.is(sample.at('errors.0.path'), 'JWT_SECRET');
  t.is((await cli(['config', 'check', '--json'], {env: {PORT: 'abc'}})).at('errors.0.path'), 'PORT');
  t.is((await cli(['config', 'check', '--strict'], {env: {JWT_SECRET: 'short-but-own'}})).code, 8);
});

test('config env lists every variable, for people, programs and shells', async t => {
  const cli = await bareCli(t, 'sqlite');
  t.regex((await cli(['config', 'env'])).stdout, /^PORT\t9000\tport of the API$/m);
  t.is((await cli(['config', 'env', '--json'])).at('variables.1.name'), 'PORT');
  t.regex((await cli(['config', 'env', '--shell'])).stdout, /^# port of the API\n# PORT=9000$/m);
});

for (const database of databases) {
  test(`${database}: status tells what the database is, what is in it and what waits`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    await cli(['message', 'post', 'general', 'hello']);
    const {code, at, stderr} = await cli(['status', '--json']);
    t.is(code, 0, stderr);
    t.is(at('target.driver'), database);
    t.deepEqual(at('counts'), {rooms: 1, members: 2, messages: 1, users: 2});
    t.is(at('outbox.depth'), 2);
    t.is(at('last_message.room'), 1);
    t.is(at('server'), null);
  });

  test(`${database}: doctor writes a row and leaves none, and mends a schema that is behind when told to`, async t => {
    const cli = await bareCli(t, database);
    await cli(['migrate', 'up', '--to', '0001']);
    const behind = await cli(['doctor', '--only', 'db', '--json']);
    t.is(behind.code, 8);
    t.is(behind.at('checks.0.fixed'), false);
    t.regex(String(behind.at('checks.0.fix')), /doctor --fix/);
    const asked = await cli(['doctor', '--fix', '--only', 'db']);
    t.is(asked.code, 8);
    t.regex(asked.stdout, /no terminal to ask on/);
    const rehearsed = await cli(['doctor', '--fix', '--dry-run', '--only', 'db,write', '--json']);
    t.is(rehearsed.code, 8, rehearsed.stderr);
    t.is(rehearsed.at('checks.0.fixed'), false);
    t.regex(String(rehearsed.at('checks.0.fix')), /^Would be done: apply 0002-outbox, .*0006-import-refused to /);
    t.regex(rehearsed.stderr, /Dry run: nothing was changed/);
    t.is((await cli(['doctor', '--only', 'db'])).code, 8);
    const mended = await cli(['doctor', '--fix', '--yes', '--only', 'db,write', '--json']);
    t.is(mended.code, 0, mended.stdout);
    t.is(mended.at('checks.0.fixed'), true);
    t.is(mended.at('checks.1.status'), 'ok');
    t.is((await cli(['doctor', '--only', 'database,write,files,node,config,security,port'])).code, 0);
  });
}

test('doctor finds unknown settings, sample secrets and files that others can read, and mends what it can', async t => {
  const cli = await bareCli(t, 'sqlite');
  await cli(['init'], {env: empty});
  const file = join(cli.cwd, '.chatctl/config.json');
  chmodSync(file, 0o644);
  chmodSync(join(cli.cwd, '.chatctl'), 0o755);
  const loose = await cli(['doctor', '--only', 'files']);
  t.is(loose.code, 8);
  t.true(
    loose.stdout.endsWith(`\tchmod go-rwx ${dirname(file)}; or let it be done: chatctl doctor --fix\n`),
    loose.stdout,
  );
  const rehearsed = await cli(['doctor', '--only', 'files', '--fix', '--dry-run']);
  t.is(rehearsed.code, 8);
  t.true(rehearsed.stdout.includes(`Would be done: chmod 700 ${join(cli.cwd, '.chatctl')}, chmod 600 ${file}.`));
  t.regex(rehearsed.stderr, /^Dry run: nothing was changed\.\n$/);
  t.is(modeOf(cli, '.chatctl/config.json'), 0o644);
  t.is(modeOf(cli, '.chatctl'), 0o755);
  t.is((await cli(['doctor', '--only', 'files', '--fix', '--json'])).at('checks.0.fixed'), true);
  t.is(modeOf(cli, '.chatctl/config.json'), 0o600);
  t.is(modeOf(cli, '.chatctl'), 0o700);
  const sample = await cli(['doctor', '--only', 'security', '--json'], {env: {JWT_SECRET: 'changeme'}});
  t.is(sample.at('checks.0.status'), 'warn');
  const strict = await cli(['doctor', '--only', 'security'], {env: {JWT_SECRET: 'changeme', NODE_ENV: 'production'}});
  t.is(strict.code, 8);
  writeFileSync(file, '{"PROT": "1"}');
  const unknown = await cli(['doctor', '--only', 'config', '--json']);
  t.is(unknown.code, 8);
  t.regex(String(unknown.at('checks.0.message')), /PROT/);
});

test('doctor --fix makes the secrets and the database of an empty folder', async t => {
  const cli = await bareCli(t, 'sqlite');
  const only = ['--only', 'config,database,write'];
  t.is((await cli(['doctor', ...only], {env: empty})).code, 8);
  const rehearsed = await cli(['doctor', '--fix', '--dry-run', ...only], {env: empty});
  t.is(rehearsed.code, 8);
  t.regex(
    rehearsed.stdout,
    /Would be done: make JWT_SECRET, CENTRIFUGO_TOKEN_SECRET and CENTRIFUGO_API_KEY in \S+json\./,
  );
  t.regex(rehearsed.stdout, /Would be done: make sqlite \S+chat\.db with the newest schema\./);
  t.false(existsSync(join(cli.cwd, '.chatctl')));
  const {code, stdout} = await cli(['doctor', '--fix', ...only, '--json'], {env: empty});
  t.is(code, 0, stdout);
  t.is((await cli(['room', 'create', 'general'], {env: empty})).code, 0);
});

test('a rehearsal of the migrations says what would be applied where there is no file, and makes none', async t => {
  const cli = await bareCli(t, 'sqlite');
  cli.env['DATABASE_URL'] = 'sqlite:new.db';
  const {code, stdout, stderr} = await cli(['migrate', 'up', '--dry-run', '--json']);
  t.is(code, 0, stderr);
  const names = migrations.map(each => each.name);
  t.deepEqual(JSON.parse(stdout), {applied: names, pending: 0, dry_run: true});
  const first = await cli(['migrate', 'up', '--to', '1', '--dry-run', '--json']);
  t.deepEqual([first.at('applied'), first.at('pending')], [names.slice(0, 1), names.length - 1]);
  t.deepEqual(readdirSync(cli.cwd), []);
});

test('a new file that cannot be made is told by its reason, and one that is there by that', async t => {
  const cli = await seededCli(t);
  const exports: string[][] = [
    ['user', 'export', 'alice'],
    ['user', 'erase', 'alice', '--messages', 'keep', '--confirm', 'alice', '--export'],
    ['centrifugo', 'config', '--out'],
  ];
  for (const command of exports) {
    const nowhere = await cli([...command, 'nowhere/x.json', '--json']);
    t.is(nowhere.code, 2, command.join(' '));
    t.regex(nowhere.stderr, /x\.json cannot be written \(ENOENT\).*Check the permissions of the folder/);
    const taken = await cli([...command, 'token.txt', '--json']);
    t.is(taken.code, 4, command.join(' '));
    t.regex(taken.stderr, /There is already a file .*token\.txt.*Remove it/);
  }
  t.is((await cli(['audit', 'list', '--action', 'user.export'])).stdout, '');
  t.is((await cli(['user', 'export', 'alice', 'a.json'])).code, 0);
  t.regex((await cli(['audit', 'list', '--action', 'user.export'])).stdout, /user\.export/);
});
