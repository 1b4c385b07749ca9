import anyTest, {type TestFn} from 'ava';
import {testCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {seededCli} from '../helpers/seeded.ts';
import {atTerminal, hasTerminal} from '../helpers/terminal.ts';

const test: TestFn | typeof anyTest.skip = hasTerminal ? anyTest : anyTest.skip;
if (!hasTerminal)
  process.stderr.write('\n!!! Tests at a terminal are SKIPPED: python3 with its pty module is missing.\n\n');

const enter = '\r';
const ctrlC = '\u0003';

test('at a terminal what is missing is asked for on stderr, and stdout stays data', async t => {
  const cli = await testCli(t, 'sqlite');
  const {code, shown, stdout} = await atTerminal(
    cli,
    ['room', 'create', '-o', 'id'],
    [['Name of the room?', `lounge${enter}`]],
  );
  t.is(code, 0, shown);
  t.is(stdout, '1\n');
  t.is((await cli(['room', 'show', '1', '--fields', 'name'])).stdout, 'lounge\n');
});

test('at a terminal No is the answer of whoever only presses enter, and nothing changes', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'one']);
  await cli(['room', 'create', 'two']);
  const {code, shown} = await atTerminal(cli, ['room', 'archive', 'one', 'two'], [['Archive 2 rooms?', enter]]);
  t.is(code, 1);
  t.regex(shown, /Nothing was changed/);
  t.is((await cli(['room', 'list', '--archived', '--json'])).at('rooms.0'), undefined);
});

for (const database of databases) {
  test(`${database}: at a terminal a severe change shows its plan and wants the name typed`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    const wrong = await atTerminal(cli, ['room', 'delete', 'general'], [['Type general', `genral${enter}`]]);
    t.is(wrong.code, 1);
    t.regex(wrong.shown, /with 1 member\(s\) and 0 message\(s\)[\s\S]*The target: .*: 1 room, 1 user/);
    t.regex(wrong.shown, /  rows    .*rooms ~1[\s\S]*  event   room_deleted to 1 user\(s\)/);
    const right = await atTerminal(cli, ['room', 'delete', 'general'], [['Type general', `general${enter}`]]);
    t.is(right.code, 0, right.shown);
    t.is((await cli(['room', 'show', 'general'])).code, 3);
  });

  test(`${database}: an erasure tells which rooms would hear of it`, async t => {
    const cli = await testCli(t, database);
    for (const room of ['one', 'two', 'gone']) {
      await cli(['room', 'create', room, '--member', 'alice', '--member', 'bob']);
      await cli(['message', 'post', room, 'hello', '--as', room === 'one' ? 'bob' : 'alice']);
    }
    await cli(['room', 'delete', 'gone', '--confirm', 'gone']);
    const args = ['user', 'erase', 'alice', '--messages', 'delete', '--export', 'alice.json'];
    const {code, shown} = await atTerminal(cli, args, [['Type alice', enter]]);
    t.is(code, 1, shown);
    t.regex(shown, /3 membership\(s\), 2 message\(s\) \(delete\)/);
    t.regex(shown, /  told    2 room\(s\) of the leaving, 1 room\(s\) of the messages, at most 2 event\(s\)/);
  });
}

test('Ctrl-C at a question ends with 130 and no stack', async t => {
  const cli = await testCli(t, 'sqlite');
  const {code, shown} = await atTerminal(cli, ['room', 'create'], [['Name of the room?', ctrlC]]);
  t.is(code, 130);
  t.notRegex(shown, /\n\s+at |Exit/);
});

test('at a terminal with --no-input or CI nothing is asked', async t => {
  const cli = await testCli(t, 'sqlite');
  const refused = await atTerminal(cli, ['room', 'create', '--no-input'], []);
  t.is(refused.code, 2);
  t.regex(refused.shown, /Missing required argument 'name'/);
  cli.env['CI'] = 'true';
  t.is((await atTerminal(cli, ['room', 'create'], [])).code, 2);
});

const empty: [string[], string, string][] = [
  [['room', 'create'], 'Name of the room?', 'name'],
  [['message', 'post', 'general'], 'Message?', 'text'],
  [['message', 'search'], 'Which text?', 'query'],
  [['message', 'delete'], 'Which messages?', 'ids'],
  [['outbox', 'drop'], 'Which events?', 'ids'],
  [['member', 'import', 'general'], 'Which file?', 'file'],
  [['token', 'verify'], 'Token?', 'token'],
];

for (const [args, question, wanted] of empty) {
  test(`an empty answer at \`${args.join(' ')}\` is asked again, with what is wanted`, async t => {
    const cli = await seededCli(t);
    const {code, shown} = await atTerminal(cli, args, [
      [question, enter],
      [`Please type the ${wanted}, or press Ctrl-C to end.`, ` ${enter}`],
      ['Please type', ctrlC],
    ]);
    t.is(code, 130, shown);
    t.notRegex(shown, /There is no terminal/);
  });
}
