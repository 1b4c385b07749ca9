// What holds for every command, read off the tree: a command that is added is held to it too.
import {setTimeout as delay} from 'node:timers/promises';
import test from 'ava';
import {exits} from '../../src/cli/exit.ts';
import {createProgram} from '../../src/cli/program.ts';
import {commandReferences, type CommandReference} from '../../src/cli/reference.ts';
import type {Ended, TestCli} from '../helpers/cli.ts';
import {mustTellNext} from '../helpers/next-step.ts';
import {seededCli} from '../helpers/seeded.ts';

const commands = commandReferences(createProgram());

/** They run until a signal; test/cli/process and test/cli/dev hold them to the same. */
const servers = new Set(['dev', 'serve']);
const ending = commands.filter(each => !servers.has(each.path));

/** Their data is a script or a page, whatever --json says. */
const notJson = new Set(['completion']);

const limitMs = 60_000;

/** Runs, and fails when it has not ended in time: something waits. */
async function run(cli: TestCli, args: string[], more: Parameters<TestCli>[1] = {}): Promise<Ended> {
  const late = delay(limitMs, undefined, {ref: false}).then(() => {
    throw new Error(`still runs: chatctl ${args.join(' ')}`);
  });
  return Promise.race([cli(args, more), late]);
}

function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

/** The example without a format of its own, and without what goes to another program. */
function example({examples}: CommandReference): string[] {
  const [line = ''] = examples;
  return words(line.replace(/ (?:[|>]|--output ).*$/, ''));
}

/** A JSON document, or one on each line. */
function parses(text: string): boolean {
  return isJson(text) || text.split('\n').filter(Boolean).every(isJson);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

for (const command of ending) {
  const codes = new Set(command.exit_codes.map(each => each.code));

  test(`${command.path} --json prints data that parses on stdout, and ends with a code of its help`, async t => {
    const cli = await seededCli(t);
    for (const tty of [false, true]) {
      const {code, stdout, stderr} = await run(cli, [...example(command), '--json'], {tty});
      if (!notJson.has(command.path)) t.true(parses(stdout), `${stdout}\n${stderr}`);
      t.true(codes.has(code), `ended with ${code}: ${stderr}`);
      if (code !== exits.ok && stdout === '') t.regex(stderr, /^\{"error":\{.*"exit_code":\d+/m, stderr);
    }
  });

  test(`${command.path} has help with examples, refuses an unknown flag, and asks nothing without a terminal`, async t => {
    const cli = await seededCli(t);
    const path = command.path.split(' ');
    const help = await run(cli, [...path, '--help']);
    t.is(help.code, exits.ok);
    t.true(command.examples.length > 0);
    for (const line of command.examples) {
      t.true(help.stdout.includes(line));
      t.regex(line, new RegExp(String.raw`\b${command.path}\b`));
    }

    const unknown = await run(cli, [...path, '--no-such-flag', '--json']);
    t.is(unknown.code, exits.usage);
    t.is(unknown.stdout, '');
    t.is(unknown.stderr.trim().split('\n').length, 1);
    t.true(parses(unknown.stderr));

    const {code, stderr} = await run(cli, path);
    t.true(codes.has(code), `ended with ${code}: ${stderr}`);
    const needed = command.args.filter(each => each.required);
    if (needed.length > 0) t.is(code, exits.usage, stderr);
    mustTellNext(t, stderr);
  });
}

/** Arguments by which a command asks what its example does not ask: the database, or a server. */
const asking: Record<string, string[]> = {
  listen: ['listen', 'bob', '--room', 'general'],
  smoke: ['smoke'],
  import: ['import', 'token.txt', '--yes'],
  'token verify': ['token', 'verify', '--file', 'token.txt', '--live'],
};

/** The example, or what asks for more, with a key so that streams can be asked about. */
function ask(cli: TestCli, command: CommandReference, env: Record<string, string> = {}): Promise<Ended> {
  const args = asking[command.path] ?? example(command);
  return run(cli, [...args, '--json'], {stdin: 'x\n', env: {CENTRIFUGO_API_KEY: 'key', ...env}});
}

const lists = (command: CommandReference, code: number) => command.exit_codes.some(each => each.code === code);

for (const command of ending) {
  const canBe = lists(command, exits.unreachable);
  test(`${command.path} ${canBe ? 'ends' : 'does not end'} with 5 where nothing answers, as its help says`, async t => {
    const cli = await seededCli(t);
    const {code, stdout, stderr} = await ask(cli, command, {DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none'});
    t.is(code === exits.unreachable, canBe, `ended with ${code}: ${stderr}`);
    mustTellNext(t, stderr);
    // Which of its steps failed is what a walk is for.
    if (canBe && command.path !== 'smoke') t.is(stdout, '');
  });
}

/** Their 4 is another, which test/cli/exit-codes reaches. */
const otherConflict = new Set(['migrate up', 'migrate down', 'init', 'docs', 'centrifugo config']);

for (const command of ending) {
  const canBe = lists(command, exits.conflict) && !otherConflict.has(command.path);
  test(`${command.path} ${canBe ? 'ends' : 'does not end'} with 4 where migrations are pending`, async t => {
    const cli = await seededCli(t);
    t.is((await cli(['migrate', 'down', '--confirm', 'chat.db'])).code, 0);
    const {code, stderr} = await ask(cli, command);
    t.is(code === exits.conflict, canBe, `ended with ${code}: ${stderr}`);
    mustTellNext(t, stderr);
  });
}

/** A value that nothing has, for each kind of argument. */
function absent(name: string): string {
  if (/room/.test(name)) return 'nowhere';
  if (/user/.test(name)) return 'nobody';
  if (/message|id/.test(name)) return '999999';
  if (/file/.test(name)) return 'nothing.ndjson';
  return 'token.txt';
}

/** What 3 needs beyond its arguments. */
const with3: Record<string, string[]> = {
  'member add': ['alice'],
  'member remove': ['alice'],
  'message post': ['text'],
  'message search': ['--room', 'nowhere'],
  'audit list': ['--room', 'nowhere'],
  'room list': ['--member', 'nobody'],
  'user erase': ['--messages', 'keep'],
  export: ['--room', 'nowhere'],
  'outbox retry': ['999999'],
  'outbox drop': ['999999', '--confirm', 'outbox'],
  verify: ['--room', 'nowhere'],
  listen: ['--room', 'nowhere'],
  'import grandchat': ['--url-file', 'nothing.txt'],
  'config check': ['nothing.json'],
  'token verify': ['--file', 'nothing.txt'],
  smoke: ['nowhere.json'],
};

for (const command of commands.filter(each => each.exit_codes.some(({code}) => code === exits.notFound))) {
  test(`${command.path} ends with 3 for what is not there`, async t => {
    const cli = await seededCli(t);
    const args = command.args.filter(each => each.required).map(each => absent(each.name));
    const more = with3[command.path] ?? [];
    const answers = ['--yes', '--confirm'].filter(flag => command.global_flags.includes(flag) && !more.includes(flag));
    const flags = answers.flatMap(flag => (flag === '--yes' ? ['--yes'] : ['--confirm', args[0] ?? '']));
    const env = {CENTRIFUGO_API_KEY: 'key'};
    const {code, stderr} = await run(cli, [...command.path.split(' '), ...args, ...more, ...flags], {env});
    t.is(code, exits.notFound, stderr);
    mustTellNext(t, stderr);
  });
}
