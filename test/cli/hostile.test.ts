// Words that nobody means well: each is refused as what it is, and none is taken for a fault of chatctl.
import test from 'ava';
import {bareCli, startProcess} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';
import {until} from '../helpers/until.ts';

// Longer than SQLite takes for a pattern.
const endless = 'x'.repeat(60_000);

const refused: [string, string[], RegExp][] = [
  ['a field that every object has', ['room', 'list', '--fields', 'constructor'], /no field constructor/],
  ['the field __proto__', ['room', 'list', '--fields', '__proto__'], /no field __proto__/],
  ['no fields at all', ['room', 'list', '--fields', ''], /must not be empty/],
  ['help on what every object has', ['help', 'constructor'], /no help on constructor/],
  ['help on __proto__', ['help', '__proto__'], /no help on __proto__/],
  ['help on what is below a command', ['help', 'room', 'create', 'more'], /leave the last word out/],
  ['a claim that every object has', ['token', 'jwt', 'alice', '--claim', 'constructor=1'], /no claim of this name/],
  ['the claim __proto__', ['token', 'jwt', 'alice', '--claim', '__proto__=1'], /no claim of this name/],
  ['a beginning that is no time', ['token', 'jwt', 'alice', '--claim', 'nbf=soon'], /nbf is a time/],
  ['info that is null', ['token', 'connection', 'alice', '--info', 'null'], /JSON, and not null/],
  ['a channel of an unset variable', ['token', 'connection', 'alice', '--channel', ''], /must not be empty/],
  ['a subscription of an unset variable', ['token', 'subscription', 'alice', ''], /must not be blank/],
  ['a user without end', ['member', 'add', 'general', endless], /must be 1 to 200/],
  ['a search for a message without end', ['message', 'search', endless], /No message is longer/],
  ['a search for a room without end', ['room', 'list', '--search', endless], /--search has more than 100 characters/],
  ['a search for a user without end', ['user', 'list', '--search', endless], /--search has more than 100 characters/],
  [
    'a search for a member without end',
    ['member', 'list', 'general', '--search', endless],
    /--search has more than 100 characters/,
  ],
];

for (const [what, args, message] of refused) {
  test(`${what} is refused`, async t => {
    const {code, stdout, stderr} = await (await seededCli(t))(args);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
    t.is(stdout, '');
  });
}

test('behind -- the names of flags are names', async t => {
  const cli = await seededCli(t);
  for (const name of ['--json', '--debug', '--color=always', '-ojson']) {
    const {code, stderr} = await cli(['room', 'show', '--', name]);
    t.is(code, 3);
    t.true(stderr.startsWith(`Error: There is no room "${name}".\n`), stderr);
  }
});

test('a field below one that is null is null, and no unknown field', async t => {
  const cli = await seededCli(t);
  await cli(['room', 'create', 'empty']);
  const {stdout} = await cli([
    'room',
    'list',
    '--fields',
    'name,last_message.content',
    '-o',
    'ndjson',
    '--sort',
    'name',
  ]);
  t.is(stdout, '{"name":"empty","last_message.content":null}\n{"name":"general","last_message.content":"first"}\n');
});

test('of several first starts at once one serves, with the secrets that are in the file', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const name of ['JWT_SECRET', 'CENTRIFUGO_TOKEN_SECRET', 'DATABASE_URL']) delete cli.env[name];
  const starts = [1, 2, 3].map(() => startProcess(t, cli, ['dev', '--json', '--no-watch']));
  const ready = () => starts.filter(each => each.stdout().includes('"ready"'));
  await until(() => ready().length === 1, 'one of them to be ready');
  const [serving] = ready();
  const others = await Promise.all(starts.filter(each => each !== serving).map(each => each.ended));
  for (const {code, stderr} of others) t.is(code, 4, stderr);
  const smoke = await cli(['smoke', '--json']);
  t.is(smoke.at('ok'), true, smoke.stdout);
});
