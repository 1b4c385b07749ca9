import {execFile, spawnSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import test, {type ExecutionContext} from 'ava';
import {databases, type Database} from '../helpers/database.ts';
import {bareCli, testCli, type TestCli} from '../helpers/cli.ts';
import {hasTerminal, inTerminal} from '../helpers/terminal.ts';

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
    for (const name of ['lobby', 'lobby', 'lobby 2']) await cli(['room', 'create', name]);
    t.deepEqual(await offered(cli, 'room', 'show', 'lob'), ['lobby', 'lobby 2'], 'each name once');
    t.deepEqual(await offered(cli, 'room', 'show', 'lobby'), ['lobby', 'id:4', 'id:5', 'lobby 2']);
    await cli(['room', 'delete', 'lobby 2', '--confirm', 'lobby 2']);
    t.deepEqual(await offered(cli, 'room', 'show', 'lob'), ['lobby', 'id:4', 'id:5'], 'there is no other');
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
  t.deepEqual(await offered(cli, 'room', 'list', '--fields', 'id,na'), ['id,name']);
  t.deepEqual(await offered(cli, 'outbox', 'list', '--fields', 'er'), []);
  t.deepEqual(await offered(cli, 'outbox', 'list', '--parked', '--fields', 'er'), ['error']);
  t.deepEqual(await offered(cli, 'message', 'post', 'x', '--count=2', '--fields', 'o'), ['ok']);
  t.deepEqual(await offered(cli, 'completion', ''), ['bash', 'zsh', 'fish']);
  t.deepEqual(await offered(cli, 'doctor', '--only', 'd'), ['database', 'delivery']);
  t.deepEqual(await offered(cli, 'doctor', '--only', 'node,database,d'), ['node,database,delivery']);
  t.deepEqual(await offered(cli, 'export', '--only=m'), ['members', 'messages']);
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
  t.deepEqual(await offered(cli, `--db=${DATABASE_URL}`, 'room', 'show', 'ot'), ['other']);
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
  t.deepEqual(await inBash(cli, 'chatctl room ar'), ['archive']);
  t.true((await inBash(cli, 'chatctl room create x --k')).includes('--key'));
  t.deepEqual(await inBash(cli, 'chatctl room show gen'), [String.raw`gen\ 2:\ 会議`, 'General']);
  t.deepEqual(await inBash(cli, 'chatctl member add General al'), ['albert', 'alice']);
  t.deepEqual(await inBash(cli, 'chatctl doctor --only c'), ['config', 'clock']);
  await cli(['room', 'create', 'other']);
  t.deepEqual(await inBash(cli, 'chatctl room show oth'), ['other', 'id:3', 'id:4']);
});

/** Runs a test in this shell, and says so where there is none. */
function inShell(shell: 'bash' | 'zsh' | 'fish', title: string, check: (t: ExecutionContext) => Promise<void>): void {
  const isThere = spawnSync(shell, ['-c', 'exit 0']).status === 0;
  if (!isThere) process.stderr.write(`\n!!! SKIPPED, because there is no ${shell} here: ${title}.\n\n`);
  (isThere ? test : test.skip)(title, check);
}

/** The same with a real terminal at which keys are pressed. */
function atShell(shell: keyof typeof startsOf, title: string, check: (t: ExecutionContext) => Promise<void>): void {
  if (hasTerminal) inShell(shell, `${shell}: ${title}`, check);
}

/** The command as these shells find it: on PATH. */
function withCommand(cli: TestCli): NodeJS.ProcessEnv {
  writeFileSync(join(cli.cwd, 'chatctl'), `#!/bin/sh\nexec ${process.execPath} ${program} "$@"\n`, {mode: 0o755});
  return {PATH: `${cli.cwd}:${process.env['PATH']}`, HOME: cli.cwd, LC_ALL: 'C.UTF-8', ...cli.env};
}

async function withOddNames(t: ExecutionContext): Promise<TestCli> {
  const cli = await withNames(t, 'sqlite');
  for (const name of [`it's "q"`, 'a$b;c', 'x:y']) await cli(['room', 'create', name, '--member', 'k=v:w']);
  return cli;
}

inShell('fish', 'fish is told what commands mean, and every name that begins so', async t => {
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
  t.deepEqual(await words('chatctl completion '), ['bash', 'fish', 'zsh'], 'in its own order, and no files among them');
  t.deepEqual(await words('chatctl room show gen'), ['gen 2: 会議', 'General']);
  t.deepEqual(await words('chatctl room show a'), ['a$b;c']);
  t.deepEqual(await words('chatctl room create x --member al'), ['albert', 'alice']);
});

/** How a shell is started in which the script is loaded. Each prompt has its number, since shells show one again and again. */
const startsOf = {
  bash: {
    files: {'.bashrc': `PROMPT_COMMAND='PS1="ready $((++n))> "'\nsource completion.bash\n`},
    command: ['bash', '--rcfile', '.bashrc', '-i'],
  },
  zsh: {
    files: {
      '.zshrc': 'autoload -Uz compinit && compinit -u -D\nprecmd() { PS1="ready $((++n))> " }\nsource completion.zsh\n',
    },
    command: ['zsh', '-i'],
  },
  fish: {
    files: {
      'start.fish': `set -g n 1
function number_prompts --on-event fish_postexec; set -g n (math $n + 1); end
function fish_prompt; echo -n "ready $n> "; end
source completion.fish
`,
    },
    command: ['fish', '--no-config', '--interactive', '--init-command', 'source start.fish'],
  },
};

const prompt = (number: number) => `ready ${number}> `;

/** What such a shell shows while these keys are pressed, each once the text before them shows; the command tells its words. */
async function pressing(cli: TestCli, shell: keyof typeof startsOf, keys: [string, string][]): Promise<string> {
  const {files, command} = startsOf[shell];
  const env = {...withCommand(cli), ZDOTDIR: cli.cwd, TERM: 'dumb'};
  const tells = `#!/bin/sh
case $1 in __complete*) exec ${process.execPath} ${program} "$@" ;; esac
printf 'got '; printf '<%s>' "$@"; echo
`;
  const script = (await cli(['completion', shell])).stdout;
  for (const [name, text] of Object.entries({...files, chatctl: tells, [`completion.${shell}`]: script}))
    writeFileSync(join(cli.cwd, name), text);
  const entered = keys.filter(([, key]) => key.endsWith('\r')).length;
  return (await inTerminal(cli.cwd, env, command, [...keys, [prompt(entered + 1), 'exit\r']])).shown;
}

const cutLine = '\u0015';

for (const shell of ['bash', 'zsh', 'fish'] as const) {
  atShell(shell, 'the tab key puts in commands, flags, values, names as they must be quoted, and files', async t => {
    const cli = await withOddNames(t);
    const lines = {
      'chatctl room sh': '<room><show>',
      'chatctl room list --so': '<room><list><--sort>',
      'chatctl room list --sort n': '<room><list><--sort><name>',
      'chatctl room list --sort=n': '<room><list><--sort=name>',
      'chatctl room show it': `<room><show><it's "q">`,
      'chatctl room show x:': '<room><show><x:y>',
      [String.raw`chatctl room show gen\ `]: '<room><show><gen 2: 会議>',
      'chatctl room show "gen 2:': '<room><show><gen 2: 会議>',
      [String.raw`chatctl member add gen\ 2:\ 会議 ali`]: '<member><add><gen 2: 会議><alice>',
      'chatctl member remove other k=v': '<member><remove><other><k=v:w>',
      'chatctl room create x --member=k=': '<room><create><x><--member=k=v:w>',
      'chatctl import ch': '<import><chatctl>',
      'chatctl import gr': '<import><grandchat>',
    };
    const shown = await pressing(
      cli,
      shell,
      Object.keys(lines).map((line, at) => [prompt(at + 1), `${line}\t\r`]),
    );
    const got = [...shown.matchAll(/^got (.*?)\r?$/gm)].map(([, words]) => words);
    t.deepEqual(got, Object.values(lines), shown);
  });
}

atShell('zsh', 'the tab key lists names whatever their case, and what commands and flags mean', async t => {
  const cli = await withNames(t, 'sqlite');
  const shown = await pressing(cli, 'zsh', [
    [prompt(1), 'chatctl room show gen\t'],
    ['会議', `${cutLine}chatctl room \t`],
    ['last message', `${cutLine}chatctl room create x --\t`],
    ['show help', `${cutLine}\r`],
  ]);
  t.regex(shown, /^General +gen\\ 2:\\ 会議/m);
  t.regex(shown, /^archive +-- Close rooms for new messages; can be taken back/m);
  t.regex(shown, /^--private +-- nobody can join by themselves/m);
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
