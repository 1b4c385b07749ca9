import {mkdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {createProgram} from '../../src/cli/program.ts';
import {commandReferences} from '../../src/cli/reference.ts';
import {bareCli, testCli} from '../helpers/cli.ts';
import {mustTellNext} from '../helpers/next-step.ts';

test('a noun alone shows its help and succeeds', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const args of [[], ['room'], ['help'], ['help', 'room', 'create'], ['room', '--help'], ['room', 'list', '-h']]) {
    const {code, stdout, stderr} = await cli(args);
    t.is(code, 0, args.join(' '));
    t.regex(stdout, /^[A-Z].*\n\nUsage: chatctl/, args.join(' '));
    t.is(stderr, '', args.join(' '));
  }
});

test('the help of a command leads with what it is and how it is typed, and ends with exit codes', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {stdout} = await cli(['room', 'create', '--help'], {tty: true, columns: 40});
  const parts = ['Create a room\n\n', 'Usage: ', 'Examples:\n', 'Options:\n', 'Takes also ', 'Exit codes: '];
  const places = parts.map(part => stdout.indexOf(part));
  t.is(places[0], 0);
  t.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
  // To be pasted, and therefore whole on any terminal.
  t.regex(stdout, /\n {2}\$ chatctl room create "Order 1042" --key order-1042 --private --output id\n/);
});

test('help on all commands names them before the flags that all of them take', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {stdout} = await cli(['--help']);
  const places = ['Start and run\n', 'Data\n', 'Reference\n', 'Options:\n', 'A first look: '].map(part =>
    stdout.indexOf(part),
  );
  t.true(places.every(each => each > 0));
  t.deepEqual(
    places,
    places.toSorted((a, b) => a - b),
  );
});

test('examples name flags by their long names', async t => {
  const cli = await bareCli(t, 'sqlite');
  const examples = commandReferences(createProgram()).flatMap(each => each.examples);
  const texts = [readFileSync('README.md', 'utf8')];
  for (const topic of ['cheat', 'scripting']) texts.push((await cli(['help', topic])).stdout);
  const lines = [...examples.map(each => `chatctl ${each}`), ...texts.join('\n').split('\n')];
  for (const line of lines) t.notRegex(line, /\bchatctl [^|;]*\s-[a-zA-Z]/);
});

test('every help topic is printed', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const topic of ['exit-codes', 'output', 'environment', 'scripting', 'danger']) {
    const {code, stdout} = await cli(['help', topic]);
    t.is(code, 0);
    t.true(stdout.length > 100, topic);
  }
  t.is((await cli(['help', 'nonsense'])).code, 2);
});

const mistakes: Record<string, [string[], RegExp]> = {
  // C1
  'an unknown command': [['rom', 'list'], /Unknown command 'rom'[\s\S]*Did you mean room/],
  'an unknown subcommand': [['room', 'lst'], /Unknown command 'lst'[\s\S]*Did you mean list/],
  'an unknown flag': [['room', 'list', '--serach', 'x'], /Unknown option '--serach'[\s\S]*Did you mean --search/],
  'a flag that this command lacks': [['room', 'list', '--dry-run'], /does not take --dry-run/],
  'a flag that this command lacks, before it': [['--as', 'bob', 'room', 'list'], /does not take --as/],
  'a format that this command lacks': [['token', 'jwt', 'alice', '-o', 'csv'], /does not take -o csv/],
  'a rehearsal of a look': [['verify', '--dry-run'], /only looks without --repair: --dry-run needs that too/],
  'a rehearsal of a check-up': [['doctor', '-n'], /only looks without --fix: --dry-run needs that too/],
  'the time of a watch without one': [['outbox', 'status', '--for', '1s'], /--for, --interval and --timeout go with/],
  'the time limit of a watch without one': [['outbox', 'status', '--timeout', '1s'], /--timeout go with --watch/],
  'the fields of lines that have none': [
    ['outbox', 'status', '--watch', '--fields', 'depth'],
    /--watch prints lines, or NDJSON with --json/,
  ],
  'an unknown format': [['room', 'list', '-o', 'xml'], /Allowed choices are table/],
  'a word of a few that is nearly right': [
    ['room', 'list', '--sort', 'nmae'],
    /Allowed choices are bumped, name.*\nDid you mean name\?/,
  ],
  'a shell that is nearly right': [['completion', 'bsh'], /Allowed choices are bash.*\nDid you mean bash\?/],
  'a kind of what is exported that is nearly right': [['export', '--only', 'message'], /Did you mean messages\?\n/],
  'a missing argument': [['room', 'rename', 'general'], /Usage: chatctl room rename/],
  'one argument too many': [['room', 'show', 'a', 'b'], /Too many arguments/],
  // C3: a number without a unit would be seconds to some and milliseconds to others.
  'a number out of range': [['room', 'list', '--limit', '0'], /from 1 to/],
  'a number that is none': [['room', 'list', '--limit', '1e3'], /from 1 to/],
  'a duration without a unit': [['message', 'list', 'general', '--since', '10'], /unit/],
  'a lifetime of zero': [['token', 'jwt', 'alice', '--ttl', '0'], /unit/],
  'a lifetime before zero': [['token', 'jwt', 'alice', '--ttl', '-1'], /unit/],
  'a lifetime of letters': [['token', 'jwt', 'alice', '--ttl', 'abc'], /unit/],
  'a lifetime without a unit': [['token', 'jwt', 'alice', '--ttl', '10'], /unit/],
  'a lifetime with an exponent': [['token', 'jwt', 'alice', '--ttl', '1e9'], /unit/],
  'a lifetime with a space': [['token', 'jwt', 'alice', '--ttl', '5 m'], /unit/],
  'a lifetime beyond reason': [['token', 'jwt', 'alice', '--ttl', '9999d'], /unit/],
  // C2
  'an empty user id': [['token', 'jwt', ''], /user ""/],
  'a user id of spaces': [['token', 'jwt', ' '], /user " "/],
  'a user id of 300 characters': [['token', 'jwt', 'x'.repeat(300)], /1 to 200 of the characters/],
  'an unusable user id': [['token', 'jwt', 'a#b'], /user "a#b"/],
  'an empty room name': [['room', 'create', ' '], /name must not be blank/],
  'a database that is none': [['room', 'list', '--db', 'mysql://x'], /DATABASE_URL/],
  'a database that a script forgot to name': [['room', 'list', '--db', ''], /'--db <url>' argument '' .*not be empty/],
  'a project file that a script forgot to name': [['room', 'list', '--config', ' '], /must not be empty/],
  'a GrandChat elsewhere than in PostgreSQL': [
    ['import', 'grandchat', 'sqlite:old.db', '--yes'],
    /postgres:\/\/user@host\/database\.\n?.*GRANDCHAT_DATABASE_URL/,
  ],
  'a GrandChat whose address is none': [['import', 'grandchat', 'old-host', '--yes'], /GRANDCHAT_DATABASE_URL/],
};

for (const [title, [args, pattern]] of Object.entries(mistakes)) {
  test(`${title} ends with 2, a line that helps, and nothing on stdout`, async t => {
    const cli = await testCli(t, 'sqlite');
    const {code, stdout, stderr} = await cli(args);
    t.is(code, 2, stderr);
    t.is(stdout, '');
    t.regex(stderr, pattern);
    t.notRegex(stderr, /\n\s+at /);
    // C12
    const told = await cli([...args, '--json']);
    t.is(told.at('error.exit_code'), 2, told.stderr);
    mustTellNext(t, told.stderr);
    t.is(told.stderr.trim().split('\n').length, 1);
    t.is(told.stdout, '');
  });
}

test('C5: a name that is nearly right is suggested and not taken', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const {code, stderr} = await cli(['room', 'show', 'genral']);
  t.is(code, 3);
  t.regex(stderr, /There is no room "genral"\.\nDid you mean "general"\?\nList rooms/);
});

test('C5: a user’s id that is nearly right is suggested, and what is not there is told with a next step', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  for (const args of [['show'], ['deactivate'], ['export'], ['erase', '--messages', 'keep']]) {
    const {code, stderr} = await cli(['user', args[0] ?? '', 'alic', ...args.slice(1)]);
    t.is(code, 3);
    t.regex(stderr, /There is no user alic.*\nDid you mean "alice"\?\nList users/);
  }
  t.regex((await cli(['user', 'show', 'zoe'])).stderr, /Make one with: .*user upsert zoe/);
  t.regex((await cli(['message', 'show', '99'])).stderr, /Look for it: /);
  t.regex((await cli(['member', 'remove', 'general', 'bob'])).stderr, /See who is: chatctl member list 1/);
  t.regex((await cli(['room', 'delete', 'general', '--confirm', 'x'])).stderr, /give --confirm its name/);
});

test('C5: who is asked for and is not there is an error and no empty list, and an erased user is there', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
  await cli(['user', 'upsert', 'u-77', '--username', 'Roberta']);
  const lists = (user: string) => [
    ['message', 'list', 'general', '--from', user],
    ['message', 'search', 'hello', '--from', user],
    ['audit', 'list', '--user', user],
    ['room', 'list', '--member', user],
  ];
  for (const args of [...lists('alic'), ['verify', '--user', 'alic']]) {
    const {code, stdout, stderr} = await cli(args);
    t.is(code, 3, args.join(' '));
    t.is(stdout, '');
    t.regex(stderr, /There is no user alic.*\nDid you mean "alice"\?\nList users/);
  }
  for (const args of lists('name:Robertta')) {
    t.regex((await cli(args)).stderr, /There is no user named "Robertta".*\nDid you mean "Roberta"\?/);
  }
  for (const args of lists('zoe')) t.regex((await cli(args)).stderr, /no user zoe\.\nMake one with: .*user upsert zoe/);
  t.is((await cli(['user', 'erase', 'bob', '--messages', 'keep', '--confirm', 'bob'])).code, 0);
  for (const args of [...lists('bob'), ...lists('id:bob'), ...lists('name:Roberta')]) t.is((await cli(args)).code, 0);
  t.regex((await cli(['audit', 'list', '--user', 'bob'])).stdout, /user\.erase/);
});

test('C5: who was erased is told so, and not to be added, where a message is to stand under their name', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'bob']);
  await cli(['user', 'erase', 'bob', '--messages', 'keep', '--confirm', 'bob']);
  const {code, stderr} = await cli(['message', 'post', 'general', 'hi', '--as', 'bob']);
  t.is(code, 4);
  t.regex(stderr, /The user bob was erased; the id cannot be used again\.\n/);
  t.notRegex(stderr, /member add/);
  t.regex((await cli(['message', 'post', 'general', 'hi', '--as', 'carol'])).stderr, /member add 1 carol/);
});

test('what is missing or empty is told with the next step', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  writeFileSync(join(cli.cwd, 'people.csv'), 'user\nalice\n');
  mkdirSync(join(cli.cwd, 'folder'));
  const cases: [string[], number, RegExp][] = [
    [['message', 'search', ''], 2, /must not be blank\.\n.*chatctl message list <room>/],
    [['member', 'import', 'general', 'poeple.csv'], 3, /no file poeple\.csv\.\nDid you mean people\.csv\?/],
    [
      ['member', 'import', 'general', 'folder/people.csv'],
      3,
      /no file folder\/people\.csv\.\n.* looked for in .*folder/,
    ],
    [['member', 'import', 'general', 'folder'], 2, /it is a directory\.\nName a file in it/],
    [['import', 'backup.ndjson'], 3, /no file backup\.ndjson\.\n.* looked for in /],
    [['import', 'people.csv'], 2, /is not an export.*\n.*chatctl export.*member import/],
    [['import', 'grandchat', '--url-file', 'poeple.csv'], 3, /Did you mean people\.csv/],
    [['smoke', 'poeple.csv'], 3, /Did you mean people\.csv/],
    [['token', 'verify'], 2, /Missing \[token\].*\n.*token jwt .* \| .*token verify/],
    [['token', 'verify', '--file', 'poeple.csv'], 3, /Did you mean people\.csv/],
    [['room', 'show', 'id:99'], 3, /no room 99.*\nList rooms/],
    [['room', 'create', ' '], 2, /must not be blank\.\nSee: chatctl room create --help/],
    [['message', 'list', 'general', '--before', '1', '--after', '2'], 2, /\nSee: chatctl message list --help/],
    [['room', 'list', '--after', 'x'], 2, /not the `next`.*\n.*without --after/],
  ];
  for (const [args, exit, says] of cases) {
    const {code, stderr} = await cli(args);
    t.is(code, exit, `${args.join(' ')}: ${stderr}`);
    t.regex(stderr, says);
  }
});

test('C5: a name that is written like an id is suggested as a name', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', '77']);
  const {code, stderr} = await cli(['room', 'show', '77']);
  t.is(code, 3);
  t.regex(stderr, /Did you mean "name:77"\?/);
  t.is((await cli(['room', 'show', 'name:77'])).code, 0);
});

test('C5: a name that several rooms have is refused with their ids', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'twin']);
  await cli(['room', 'create', 'twin']);
  const {code, stderr} = await cli(['room', 'show', 'twin']);
  t.is(code, 4);
  t.regex(stderr, /id:1, id:2/);
});

test('a room whose name looks like an id is named with name:', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'first']);
  await cli(['room', 'create', '1']);
  await cli(['room', 'create', 'keyed', '--key', 'order-1']);
  t.is((await cli(['room', 'show', '1', '--fields', 'name'])).stdout, 'first\n');
  t.is((await cli(['room', 'show', 'name:1', '-o', 'id'])).stdout, '2\n');
  t.is((await cli(['room', 'show', 'key:order-1', '-o', 'id'])).stdout, '3\n');
});

test('global flags stand before or after the command', async t => {
  const cli = await testCli(t, 'sqlite');
  t.is((await cli(['--json', 'room', 'list'])).stdout, '{"rooms":[],"next":null}\n');
  t.is((await cli(['room', '--json', 'list'])).stdout, '{"rooms":[],"next":null}\n');
  t.is((await cli(['room', 'list'], {env: {CHATCTL_OUTPUT: 'json'}})).stdout, '{"rooms":[],"next":null}\n');
});

test('without a database the next step is told', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, stderr, at} = await cli(['room', 'list', '--json']);
  t.is(code, 5);
  t.is(at('error.code'), 'database_missing');
  t.regex(stderr, /chatctl migrate up/);
  const unreachable = await cli(['room', 'list', '--db', 'postgres://nobody@127.0.0.1:1/none']);
  t.is(unreachable.code, 5);
});

test('--verbose tells on stderr which database and where settings come from, and no secret', async t => {
  const cli = await testCli(t, 'sqlite');
  const {code, stdout, stderr} = await cli(['room', 'list', '--verbose']);
  t.is(code, 0);
  t.is(stdout, '');
  t.regex(stderr, /Database: sqlite .*chat\.db/);
  t.regex(stderr, /JWT_SECRET is from: environment/);
  t.false(stderr.includes('test-api-secret'));
});

test('CHATCTL_TIMEOUT stands for --timeout where a command waits, and troubles no other', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const tail = ['message', 'tail', 'general', '--count', '9'];
  t.is((await cli(tail, {env: {CHATCTL_TIMEOUT: '50ms'}})).code, 9);
  const wrong = await cli(tail, {env: {CHATCTL_TIMEOUT: '5'}});
  t.is(wrong.code, 2);
  t.regex(wrong.stderr, /CHATCTL_TIMEOUT cannot be read\. It needs a number with a unit/);
  t.is((await cli(['room', 'list'], {env: {CHATCTL_TIMEOUT: '5'}})).code, 0);
});
