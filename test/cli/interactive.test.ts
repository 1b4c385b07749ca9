// What a command asks for at a real terminal, how it is answered, and the line that would have needed no question.
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {PassThrough} from 'node:stream';
import anyTest, {type TestFn} from 'ava';
import type {Command} from 'commander';
import stringWidth from 'string-width';
import {createProgram} from '../../src/cli/program.ts';
import {run} from '../../src/cli/run.ts';
import {bareCli, type TestCli} from '../helpers/cli.ts';
import {seededCli} from '../helpers/seeded.ts';
import {atTerminal, hasTerminal, inTerminal} from '../helpers/terminal.ts';

const test: TestFn | typeof anyTest.skip = hasTerminal ? anyTest : anyTest.skip;

const program = fileURLToPath(new URL('../../bin/chatctl.js', import.meta.url));

const enter = '\r';
const down = '\u001B[B';
const space = ' ';
const ctrlC = '\u0003';

test('a room is picked from a list that is searched, and the line for a script is told', async t => {
  const cli = await seededCli(t);
  await cli(['room', 'create', 'lobby']);
  const {code, shown, stdout} = await atTerminal(
    cli,
    ['room', 'show', '-o', 'id'],
    [
      ['Which room?', 'gen'],
      ['❯ general (id:1, 2 members)', enter],
    ],
  );
  t.is(code, 0, shown);
  t.is(stdout, '1\n');
  t.regex(shown, /The same without questions: .*chatctl.* room show -o id general/);
});

test('several members are chosen at once, new ones among them', async t => {
  const cli = await seededCli(t);
  await cli(['room', 'create', 'lobby']);
  const {code, shown} = await atTerminal(
    cli,
    ['member', 'add', 'lobby'],
    [
      ['Which users?', 'bob'],
      ['❯ bob', enter],
      ['That is all: bob', 'dave'],
      ['dave (new)', enter],
      ['That is all: bob, dave', enter],
    ],
  );
  t.is(code, 0, shown);
  t.is((await cli(['member', 'list', 'lobby', '-o', 'id'])).stdout, 'bob\ndave\n');
  t.regex(shown, /The same without questions: .* member add lobby bob dave/);
});

test('members to remove and rooms to archive are marked in a list', async t => {
  const cli = await seededCli(t);
  const removed = await atTerminal(
    cli,
    ['member', 'remove', 'general'],
    [['Which members?', `${down}${space}${enter}`]],
  );
  t.is(removed.code, 0, removed.shown);
  t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, 'alice\n');
  t.regex(removed.shown, /The same without questions: .* member remove general bob/);
  await cli(['room', 'create', 'lobby']);
  const archived = await atTerminal(
    cli,
    ['room', 'archive'],
    [
      ['Which rooms?', `${space}${down}${space}${enter}`],
      ['Archive 2 rooms', `y${enter}`],
    ],
  );
  t.is(archived.code, 0, archived.shown);
  t.regex(archived.shown, /room archive (?:lobby general|general lobby) --yes/);
});

test('chatctl alone offers the common jobs, and runs the chosen one', async t => {
  const cli = await seededCli(t);
  const {code, shown, stdout} = await atTerminal(cli, [], [['What would you like to do?', enter]]);
  t.is(code, 0, shown);
  t.regex(stdout, /^1\tgeneral\t/m);
  t.regex(shown, /The same without questions: .*chatctl.* room list/);
});

test('chatctl alone offers first what helps where there is no database yet', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, shown} = await atTerminal(
    cli,
    [],
    [
      ['What would you like to do?', `${down}${down}`],
      ['❯ Make the database', enter],
    ],
  );
  t.is(code, 0, shown);
  t.regex(shown, /❯ Start the whole chat for development/);
  t.notRegex(shown, /List rooms/);
  const after = await atTerminal(cli, [], [['❯ List rooms', ctrlC]]);
  t.is(after.code, 130, after.shown);
});

const ctrlD = '\u0004';
const typedInput: [string[], string][] = [
  [['member', 'add', 'general', '--stdin'], 'carol\n'],
  [['message', 'post', 'general', '-', '--as', 'bob'], 'second\n'],
  [['message', 'post', 'general', '--lines'], '{"as":"bob","content":"second"}\n'],
  [['member', 'import', 'general', '-'], 'user\ncarol\n'],
  [['import', '-', '--validate-only'], 'no export\n'],
];

for (const [args, typed] of typedInput) {
  test(`\`${args.join(' ')}\` says once at a terminal that it reads there`, async t => {
    const cli = await seededCli(t);
    const {shown} = await atTerminal(cli, args, [['Reading from the terminal; end with Ctrl-D.', `${typed}${ctrlD}`]]);
    t.is(shown.split('Reading from the terminal').length, 2, shown);
  });
}

test('what is typed at a terminal until Ctrl-D is taken, and of a pipe nothing is said', async t => {
  const cli = await seededCli(t);
  const args = ['member', 'add', 'general', '--stdin'];
  const {code, shown} = await atTerminal(cli, args, [['Reading from the terminal', `carol\n${ctrlD}`]]);
  t.is(code, 0, shown);
  const piped = await cli(args, {stdin: 'dave\n'});
  t.notRegex(piped.stderr, /Reading/);
  t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, 'alice\nbob\ncarol\ndave\n');
});

test('a severe change shows what it is done to and wants the name, and its line has --confirm', async t => {
  const cli = await seededCli(t);
  const {code, shown} = await atTerminal(cli, ['room', 'delete', 'general'], [['Type general', `general${enter}`]]);
  t.is(code, 0, shown);
  t.regex(shown, /The target: sqlite .*chat\.db: 1 room, 2 users, 2 memberships, 1 message/);
  t.regex(shown, /The same without questions: .* room delete general --confirm general/);
});

test('a severe change shows the plan of its rehearsal before the name is typed, and its answer is no part of it', async t => {
  const cli = await seededCli(t);
  const asked = await atTerminal(cli, ['room', 'delete', 'general'], [['Type general', `no${enter}`]]);
  t.is(asked.code, 1, asked.shown);
  t.regex(
    asked.shown,
    /  rows    .*rooms ~1[^]*  event   room_deleted to 2 user\(s\), about \d+ bytes[^]*Type general/,
  );
  t.regex(asked.shown, /  same as curl -X DELETE [^]*Type general/);
  t.is((await cli(['outbox', 'list', '--json'])).stdout.includes('room_deleted'), false);
  const scripted = await atTerminal(cli, ['room', 'delete', 'general', '--confirm', 'general'], []);
  t.is(scripted.code, 0, scripted.shown);
  t.notRegex(scripted.shown, /  rows  /);
});

test('to give up events shows the rows that go, and leaves out what is not there', async t => {
  const cli = await seededCli(t);
  const {code, shown} = await atTerminal(cli, ['outbox', 'drop', '7'], [['Type outbox', `no${enter}`]]);
  t.is(code, 1, shown);
  t.regex(shown, /gives 1 event\(s\) up[^]*  rows    none/);
});

test('an erasure asks whom, exports first, and says what becomes of the messages and who is told', async t => {
  const cli = await seededCli(t);
  writeFileSync(join(cli.cwd, 'alice.json'), '{}');
  const {code, shown} = await atTerminal(
    cli,
    ['user', 'erase'],
    [
      // Enter counts once the list is there.
      ['❯ alice', enter],
      ['Export first what there is of alice?', enter],
      ['Into which file?', enter],
      ['alice.json is there already', `${'\u007F'.repeat(10)}nowhere/x.json${enter}`],
      ['There is no folder', `${'\u007F'.repeat(14)}mine.json${enter}`],
      ['What becomes of the messages?', down],
      ['❯ redact', enter],
      ['Type alice', `alice${enter}`],
    ],
  );
  t.is(code, 0, shown);
  t.regex(
    shown,
    /1 membership\(s\), 1 message\(s\) \(redact\)[^]*  told    1 room\(s\) of the leaving, 1 room\(s\) of the messages\r/,
  );
  t.regex(shown, /same without questions: .* user erase alice --export mine\.json --messages redact --confirm alice/);
  t.regex(readFileSync(join(cli.cwd, 'mine.json'), 'utf8'), /"first"/);
});

test('an erasure without an export goes on, and its line asks nothing', async t => {
  const cli = await seededCli(t);
  const {code, shown} = await atTerminal(
    cli,
    ['user', 'erase', 'alice'],
    [
      ['Export first', `n${enter}`],
      ['What becomes of the messages?', enter],
      ['Type alice', `alice${enter}`],
    ],
  );
  t.is(code, 0, shown);
  t.regex(shown, /same without questions: .* user erase alice --messages keep --confirm alice/);
});

for (const verb of ['show', 'deactivate', 'export', 'erase']) {
  test(`\`user ${verb}\` offers those who are there, and no new ones`, async t => {
    const cli = await seededCli(t);
    const {code, shown} = await atTerminal(
      cli,
      ['user', verb],
      [
        ['Which user?', 'gra'],
        ['No results found', ctrlC],
      ],
    );
    t.is(code, 130, shown);
    t.notRegex(shown, /\(new\)/);
  });
}

test('an erasure tells how far it has come, and a rehearsal of it never that anything is erased', async t => {
  const cli = await seededCli(t);
  const rehearsed = await atTerminal(cli, ['user', 'erase', 'alice', '--messages', 'redact', '--dry-run'], []);
  t.is(rehearsed.code, 0, rehearsed.shown);
  t.regex(rehearsed.shown, /^Rehearsing the erasure of alice "alice": 1 membership\(s\), 1 message\(s\) \(redact\) …/);
  t.regex(rehearsed.shown, /nothing was changed/);
  t.regex(rehearsed.shown, /\rRehearsal: Erasing messages: /);
  t.notRegex(rehearsed.shown, /[\r\n]Erasing/);
  const {code, shown} = await atTerminal(
    cli,
    ['user', 'erase', 'alice', '--messages', 'redact', '--confirm', 'alice'],
    [],
  );
  t.is(code, 0, shown);
  t.regex(shown, /Erasing messages: 0 of 1 \(0 %\)/);
  t.regex(shown, /Erasing messages: 1 of 1 \(100 %\)/);
});

test('an import tells how much of its file is read, compressed or not, and of a pipe how many rows', async t => {
  const cli = await seededCli(t);
  writeFileSync(join(cli.cwd, 'people.csv'), 'user\nerin\nfrank\n');
  await cli(['export', 'backup.ndjson.gz', '--gzip']);
  const members = await atTerminal(cli, ['member', 'import', 'general', 'people.csv'], []);
  t.is(members.code, 0, members.shown);
  t.regex(members.shown, /Importing members: 0 \(\d+ %\)[^]*Importing members: 2 \(100 %\), [\d,]+\/s, 0 s/);
  const load = ['import', 'backup.ndjson.gz', '--mode', 'upsert', '--confirm', 'chat.db'];
  const loaded = await atTerminal(cli, load, []);
  t.is(loaded.code, 0, loaded.shown);
  t.regex(loaded.shown, /Importing: 6 \(100 %\), /);
  const env = {PATH: process.env['PATH'], TERM: 'xterm', ...cli.env};
  const line = `cat people.csv | '${process.execPath}' '${program}' member import general -`;
  const piped = await inTerminal(cli.cwd, env, ['sh', '-c', line], []);
  t.is(piped.code, 0, piped.shown);
  t.regex(piped.shown, /Importing members: 2, [\d,]+\/s, 0 s/);
});

test('at a terminal of 40 columns no line of a list is longer', async t => {
  const cli = await seededCli(t);
  await cli(['room', 'create', '会議室の名前が長い']);
  const env = {PATH: process.env['PATH'], TERM: 'xterm', ...cli.env};
  const list = `'${process.execPath}' '${program}' room list --sort id`;
  const {code, shown} = await inTerminal(cli.cwd, env, ['sh', '-c', `stty cols 40; ${list}`], []);
  t.is(code, 0, shown);
  t.regex(shown, /^id: +1\r\nname: +general\r\n[^]*name: +会議室の名前が長い\r\n/);
  for (const line of shown.split('\r\n')) t.true(stringWidth(line) <= 40, line);
  const columns = await inTerminal(cli.cwd, env, ['sh', '-c', `stty cols 70; ${list}`], []);
  t.regex(columns.shown, /^ID +NAME +KEY .*\r\n1 +general .*\r\n2 +会議室の名.*… .*\r\n$/);
});

test('of NO_COLOR and FORCE_COLOR the first counts, and nothing is said of it', async t => {
  const cli = await seededCli(t);
  Object.assign(cli.env, {NO_COLOR: '1', FORCE_COLOR: '1'});
  const listed = await atTerminal(cli, ['room', 'list', '--output', 'table'], []);
  t.is(listed.code, 0);
  t.is(listed.shown, '');
  const refused = await atTerminal(cli, ['room', 'show', 'nowhere'], []);
  t.regex(refused.shown, /^Error: There is no room/);
  Object.assign(cli.env, {FORCE_COLOR: '1', NO_COLOR: ''});
  t.regex((await atTerminal(cli, ['room', 'show', 'nowhere'], [])).shown, /^\u001B\[31mError:/);
});

test('a token is not shown while it is typed, nor in the line for a script', async t => {
  const cli = await seededCli(t);
  const {code, shown} = await atTerminal(cli, ['token', 'verify'], [['Token?', `canary-token${enter}`]]);
  t.is(code, 6);
  t.false(shown.includes('canary'));
});

const questions: [string, string[], string][] = [
  ['a search', ['room', 'show'], 'Which room?'],
  ['a list to mark', ['room', 'archive'], 'Which rooms?'],
  ['a text', ['message', 'post', 'general'], 'Message?'],
  ['a secret', ['token', 'verify'], 'Token?'],
  ['yes or no', ['member', 'remove', 'general', '--all'], 'Remove all 2 members'],
  ['a name to type', ['room', 'delete', 'general'], 'Type general'],
  ['the menu', [], 'What would you like to do?'],
];

for (const [what, args, question] of questions) {
  test(`Ctrl-C at ${what} ends with 130, no stack, and nothing changed`, async t => {
    const cli = await seededCli(t);
    const {code, shown} = await atTerminal(cli, args, [[question, ctrlC]]);
    t.is(code, 130, shown);
    t.notRegex(shown, /\n\s+at |Exit|The same/);
    t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, 'alice\nbob\n');
  });
}

/** At a terminal of this process whoever is asked for anything presses Ctrl-C: so many starts would take a minute. */
async function leftAtFirstQuestion(cli: TestCli, args: string[]): Promise<{code: number; shown: string}> {
  const streams = [new PassThrough(), new PassThrough(), new PassThrough()] as const;
  const [stdin, stdout, stderr] = streams.map(stream => Object.assign(stream, {isTTY: true}));
  if (!stdin || !stdout || !stderr) throw new Error('three streams were made');
  let shown = '';
  stdout.resume();
  stderr.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    if (shown.includes('?')) stdin.write(ctrlC);
  });
  const started = {flags: [], script: 'chatctl'};
  const io = {stdin, stdout, stderr, env: {...cli.env}, cwd: cli.cwd, started, onSignal: () => () => undefined};
  return {code: await run(args, io), shown};
}

function withRequiredArgument(command: Command, path: string[] = []): string[][] {
  const own = command.registeredArguments.some(argument => argument.required) ? [path] : [];
  return [...own, ...command.commands.flatMap(child => withRequiredArgument(child, [...path, child.name()]))];
}

for (const path of withRequiredArgument(createProgram())) {
  anyTest(`at a terminal \`${path.join(' ')}\` asks for the argument that is missing`, async t => {
    const cli = await seededCli(t);
    await cli(['room', 'create', 'old']);
    await cli(['room', 'archive', 'old']);
    const {code, shown} = await leftAtFirstQuestion(cli, path);
    t.is(code, 130, shown);
    t.notRegex(shown, /fault of chatctl/);
  });
}

test('the shell of whoever asks for its completion script is the first of the list', async t => {
  const cli = await seededCli(t);
  cli.env['SHELL'] = '/usr/bin/fish';
  const {code, shown, stdout} = await atTerminal(cli, ['completion'], [['❯ fish', enter]]);
  t.is(code, 0, shown);
  t.regex(stdout, /^# Completion of chatctl for fish/);
  t.regex(shown, /The same without questions: .* completion fish/);
});
