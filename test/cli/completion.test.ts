import {execFile, spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {databases, type Database} from '../helpers/database.ts';
import {bareCli, testCli, type TestCli} from '../helpers/cli.ts';

const run = promisify(execFile);
const program = fileURLToPath(new URL('../../bin/chatctl.js', import.meta.url));

async function withNames(t: ExecutionContext, database: Database): Promise<TestCli> {
  const cli = await testCli(t, database);
  await cli(['room', 'create', 'General', '--member', 'alice', '--member', 'albert', '--member', 'bob']);
  await cli(['room', 'create', 'gen 2: 会議']);
  await cli(['room', 'create', 'other']);
  return cli;
}

/** What the tab key would offer behind these words. */
async function offered(cli: TestCli, ...words: string[]): Promise<string[]> {
  const {code, stdout, stderr} = await cli(['__complete', ...words]);
  if (code !== 0 || stderr !== '') throw new Error(stderr);
  return stdout.split('\n').filter(Boolean);
}

for (const database of databases) {
  test(`${database}: names of rooms and users are offered where the tree has them`, async t => {
    const cli = await withNames(t, database);
    t.deepEqual(await offered(cli, 'room', 'show', 'gen'), ['gen 2: 会議', 'General']);
    t.deepEqual(await offered(cli, 'member', 'add', 'General', 'al'), ['albert', 'alice']);
    t.deepEqual(await offered(cli, 'member', 'add', 'General', 'alice', 'b'), ['bob']);
    t.deepEqual(await offered(cli, 'room', 'create', 'x', '--member', 'al'), ['albert', 'alice']);
    t.deepEqual(await offered(cli, 'room', 'archive', 'other', 'ot'), ['other']);
    t.deepEqual(await offered(cli, 'room', 'show', "'; drop table rooms; --"), []);
  });
}

test('commands, flags, choices and topics are offered from the tree', async t => {
  const cli = await bareCli(t, 'sqlite');
  t.true((await offered(cli, '')).includes('room'));
  t.deepEqual(await offered(cli, 'ro'), ['room']);
  t.true((await offered(cli, 'room', '')).includes('create'));
  t.deepEqual(await offered(cli, 'room', 'create', 'x', '--pri'), ['--private']);
  t.deepEqual(await offered(cli, 'room', 'list', '--sort', 'n'), ['name']);
  t.deepEqual(await offered(cli, '-o', 'json', 'room', 'ren'), ['rename']);
  t.deepEqual(await offered(cli, 'completion', ''), ['bash', 'zsh', 'fish']);
  t.true((await offered(cli, 'help', 'ex')).includes('exit-codes'));
  t.true((await offered(cli, 'room', 'show', 'x', '--d')).includes('--db'));
});

test('without a database, or with a broken one, nothing is offered and nothing fails', async t => {
  const cli = await bareCli(t, 'sqlite');
  t.deepEqual(await offered(cli, 'room', 'show', 'g'), []);
  t.deepEqual(await offered(cli, '--db', 'nonsense', 'room', 'show', 'g'), []);
  writeFileSync(join(cli.cwd, 'no.db'), 'not a database');
  t.deepEqual(await offered(cli, '--db', 'sqlite:no.db', 'room', 'show', 'g'), []);
});

test('--db on the line is the database that names come from', async t => {
  const cli = await withNames(t, 'sqlite');
  const {DATABASE_URL = ''} = cli.env;
  cli.env['DATABASE_URL'] = 'sqlite:elsewhere.db';
  t.deepEqual(await offered(cli, '--db', DATABASE_URL, 'room', 'show', 'ot'), ['other']);
});

/** Presses the tab key in a real bash behind a line. */
async function inBash(cli: TestCli, line: string): Promise<string[]> {
  const {stdout: script} = await cli(['completion', 'bash']);
  const shell = `
chatctl() { ${process.execPath} ${program} "$@"; }
${script}
COMP_LINE=${quoted(line)}
COMP_POINT=\${#COMP_LINE}
COMP_WORDS=(${line}${line.endsWith(' ') ? " ''" : ''})
COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 ))
_chatctl
printf '%s\\n' "\${COMPREPLY[@]}"
`;
  const {stdout} = await run('bash', ['--norc', '-c', shell], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], LC_ALL: 'C.UTF-8', ...cli.env},
  });
  return stdout.split('\n').filter(Boolean);
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

test('the script completes commands, flags and names in bash, quoting what needs it', async t => {
  const cli = await withNames(t, 'sqlite');
  t.deepEqual(await inBash(cli, 'chatctl ro'), ['room']);
  t.deepEqual(await inBash(cli, 'chatctl room ar'), ['archive']);
  t.true((await inBash(cli, 'chatctl room create x --k')).includes('--key'));
  t.deepEqual(await inBash(cli, 'chatctl room show ot'), ['other']);
  t.deepEqual(await inBash(cli, 'chatctl room show gen'), [String.raw`gen\ 2:\ 会議`, 'General']);
  t.deepEqual(await inBash(cli, 'chatctl member add General al'), ['albert', 'alice']);
});

/** Runs a test in this shell, and says so where there is none. */
function inShell(shell: 'zsh' | 'fish', title: string, check: (t: ExecutionContext) => Promise<void>): void {
  const isThere = spawnSync(shell, ['-c', 'exit 0']).status === 0;
  if (!isThere) process.stderr.write(`\n!!! SKIPPED, because there is no ${shell} here: ${title}.\n\n`);
  (isThere ? test : test.skip)(title, check);
}

/** The command as these shells find it: on PATH. */
function withCommand(cli: TestCli): NodeJS.ProcessEnv {
  writeFileSync(join(cli.cwd, 'chatctl'), `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, {mode: 0o755});
  return {PATH: `${cli.cwd}:${process.env['PATH']}`, HOME: cli.cwd, LC_ALL: 'C.UTF-8', ...cli.env};
}

async function withOddNames(t: ExecutionContext): Promise<TestCli> {
  const cli = await withNames(t, 'sqlite');
  for (const name of [`it's "q"`, 'a$b;c', 'x:y']) await cli(['room', 'create', name]);
  return cli;
}

inShell('fish', 'the script completes commands, flags, values and names in fish', async t => {
  const cli = await withOddNames(t);
  const env = withCommand(cli);
  writeFileSync(join(cli.cwd, 'chatctl.fish'), (await cli(['completion', 'fish'])).stdout);
  const inFish = async (line: string) => {
    const script = `source chatctl.fish; complete -C ${quoted(line)}`;
    const {stdout} = await run('fish', ['--no-config', '-c', script], {cwd: cli.cwd, env});
    return stdout.split('\n').filter(Boolean);
  };
  const words = async (line: string) => (await inFish(line)).map(each => each.split('\t')[0]);
  t.deepEqual(await inFish('chatctl room sh'), ['show\tShow one room with its counts and last message']);
  t.deepEqual(await words('chatctl room list --sort n'), ['name']);
  t.deepEqual(await words('chatctl room list --so'), ['--sort']);
  t.deepEqual(await words('chatctl completion '), ['bash', 'fish', 'zsh'], 'in its own order, and no files among them');
  t.deepEqual(await words('chatctl room show gen'), ['gen 2: 会議', 'General']);
  t.deepEqual(await words('chatctl room show it'), [`it's "q"`]);
  t.deepEqual(await words('chatctl room show a'), ['a$b;c']);
  t.deepEqual(await words('chatctl member add General al'), ['albert', 'alice']);
  t.deepEqual(await words('chatctl room create x --member al'), ['albert', 'alice']);
  t.deepEqual(await words('chatctl import chatctl.f'), ['chatctl.fish'], 'files where nothing else is meant');
});

inShell('zsh', 'the script completes commands, flags, values and names in zsh', async t => {
  const cli = await withOddNames(t);
  const env = withCommand(cli);
  const {stdout: completion} = await cli(['completion', 'zsh']);
  /** What it hands to zsh, which quotes it and puts it in. */
  const inZsh = async (...line: string[]) => {
    const script = `
compdef() { : }
_files() { print -r -- FILES }
compadd() { while [[ $1 != -- ]]; do shift; done; shift; print -rl -- "$@" }
${completion}
words=(${line.map(quoted).join(' ')}); CURRENT=\${#words}
_chatctl
`;
    const {stdout} = await run('zsh', ['-f', '-c', script], {cwd: cli.cwd, env});
    return stdout.split('\n').filter(Boolean);
  };
  t.true((await inZsh('chatctl', 'room', 'sh')).includes('show'));
  t.true((await inZsh('chatctl', 'room', 'create', 'x', '--k')).includes('--key'));
  t.deepEqual(await inZsh('chatctl', 'room', 'list', '--sort', 'n'), ['name']);
  t.deepEqual(await inZsh('chatctl', 'completion', ''), ['bash', 'zsh', 'fish']);
  t.deepEqual(await inZsh('chatctl', 'room', 'show', 'gen'), ['gen 2: 会議', 'General']);
  t.deepEqual(await inZsh('chatctl', 'room', 'show', String.raw`gen\ 2`), ['gen 2: 会議'], 'begun with a quoted space');
  t.deepEqual(await inZsh('chatctl', 'room', 'show', 'it'), [`it's "q"`]);
  t.deepEqual(await inZsh('chatctl', 'room', 'show', 'x:'), ['x:y']);
  t.deepEqual(await inZsh('chatctl', 'member', 'add', String.raw`gen\ 2:\ 会議`, 'al'), ['albert', 'alice']);
  t.deepEqual(await inZsh('chatctl', 'room', 'show', 'nothing'), ['FILES']);
});

test('each shell gets a script with every command in it', async t => {
  const cli = await bareCli(t, 'sqlite');
  for (const shell of ['bash', 'zsh', 'fish']) {
    const {code, stdout} = await cli(['completion', shell]);
    t.is(code, 0);
    for (const word of ['room', 'archive', 'completion', '__complete'])
      t.true(stdout.includes(word), `${shell} ${word}`);
  }
  t.is((await cli(['completion', 'tcsh'])).code, 2);
  t.is((await cli(['completion'])).code, 2);
});
