import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bareCli} from '../helpers/cli.ts';

interface Tree {
  commands: {path: string; args: object[]; flags: {flags: string}[]; exit_codes: {code: number; meaning: string}[]}[];
}

test('docs --format json is the whole tree with arguments, flags and exit codes', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, stdout} = await cli(['docs', '--format', 'json']);
  t.is(code, 0);
  const {commands} = JSON.parse(stdout) as Tree;
  const create = commands.find(each => each.path === 'room create');
  t.deepEqual(create?.args, [{name: 'name', required: true, variadic: false}]);
  t.true(create?.flags.some(each => each.flags === '--key <key>'));
  t.deepEqual(
    create?.exit_codes.map(each => each.code),
    [0, 1, 2, 4, 5, 130],
  );
  t.is(create?.exit_codes[3]?.meaning, 'the key is taken');
  for (const command of commands)
    t.true(
      command.exit_codes.every(each => each.meaning !== ''),
      command.path,
    );
});

test('dev is ended by Ctrl-C and therefore well, and every other command with 130', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {commands} = JSON.parse((await cli(['docs', '--format', 'json'])).stdout) as Tree;
  for (const {path, exit_codes} of commands) {
    t.is(
      exit_codes.some(each => each.code === 130),
      path !== 'dev',
      path,
    );
  }
  const dev = commands.find(each => each.path === 'dev');
  t.is(dev?.exit_codes.find(each => each.code === 0)?.meaning, 'ended by Ctrl-C');
  t.regex((await cli(['dev', '--help'])).stdout, /\nExit codes: [\d, ]+ 5; 0 ended by Ctrl-C, /);
  t.regex((await cli(['serve', '--help'])).stdout, /\nExit codes: [\d, ]+ 130; /);
});

test('docs --out writes a page for each command and touches no file that is there', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {code, at} = await cli(['docs', '--out', 'reference', '--json']);
  t.is(code, 0);
  t.true(String(at('files.0.path')).startsWith(join(cli.cwd, 'reference')));
  t.regex(readFileSync(join(cli.cwd, 'reference/room.md'), 'utf8'), /## room create[\s\S]*--key/);
  t.true(existsSync(join(cli.cwd, 'reference/message.md')));
  t.is((await cli(['docs', '--out', 'reference'])).code, 4);
});

test('every help topic is printed, and one error is looked up by its code', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const topic of [
    'exit-codes',
    'output',
    'environment',
    'scripting',
    'danger',
    'expressions',
    'cheat',
    'errors',
  ]) {
    const {code, stdout} = await cli(['help', topic]);
    t.is(code, 0);
    t.true(stdout.length > 100, topic);
  }
  t.regex((await cli(['help', 'errors', 'room_not_found'])).stdout, /^room_not_found +exit 3 +not found\n$/);
  t.regex((await cli(['help', 'errors', 'nonsense'])).stdout, /There is no error nonsense/);
});

test('every line of the cheat sheet begins with a command that there is', async t => {
  const cli = await bareCli(t, 'sqlite');
  const {stdout: tree} = await cli(['docs', '--format', 'json']);
  const {commands} = JSON.parse(tree) as Tree;
  const paths = new Set(commands.map(each => each.path));
  for (const line of (await cli(['help', 'cheat'])).stdout.trim().split('\n')) {
    const [, first = '', second = ''] = /chatctl (\S+)(?: (\S+))?/.exec(line) ?? [];
    t.true(paths.has(first) || paths.has(`${first} ${second}`), line);
  }
});
