import {exec} from 'node:child_process';
import {readdirSync, readFileSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {bareCli, runProcess, startProcess, type TestCli, type TestProcess} from '../helpers/cli.ts';
import {until} from '../helpers/until.ts';

const shell = promisify(exec);

/** As somebody has it who has just installed: no secrets, no database, taken from nowhere. */
async function newcomer(t: Parameters<typeof bareCli>[0]): Promise<TestCli> {
  const cli = await bareCli(t, 'sqlite');
  for (const name of ['JWT_SECRET', 'CENTRIFUGO_TOKEN_SECRET', 'DATABASE_URL']) delete cli.env[name];
  return cli;
}

test('dev makes what is missing, and every line that it prints can be pasted', async t => {
  const cli = await newcomer(t);
  const server = startProcess(t, cli, ['dev']);
  await server.line('API tokens');
  const output = await outputUntil(server, 'bob  ey');
  const mode = (path: string) => (statSync(join(cli.cwd, path)).mode & 0o777).toString(8);
  t.is(mode('.chatctl'), '700');
  for (const file of readdirSync(join(cli.cwd, '.chatctl'))) t.is(mode(`.chatctl/${file}`), '600', file);

  const env = {PATH: process.env['PATH'], ...cli.env};
  const lines = output.split('\n');
  const curls = lines.filter(line => line.startsWith('curl '));
  t.is(curls.length, 3);
  const listenLine = lines.find(line => line.includes(' listen bob')) ?? '';
  const listening = shell(
    `${listenLine} --count 1 --timeout 20s --exec '${(curls[0] ?? '').replaceAll("'", `'\\''`)}'`,
    {
      cwd: cli.cwd,
      env,
    },
  );
  t.regex((await listening).stdout, /"type":"event".*"content":"hello"/);
  for (const curl of curls.slice(1)) {
    const {stdout} = await shell(curl.replace('curl ', 'curl -s '), {cwd: cli.cwd, env});
    t.regex(stdout, /^\{"token":"ey/);
  }
  const post = lines.find(line => line.includes(' message post ')) ?? '';
  t.regex((await shell(post, {cwd: cli.cwd, env})).stdout, /hello/);

  server.child.kill('SIGINT');
  const ended = await server.ended;
  t.is(ended.code, 0);
  t.regex(ended.stderr, /Stopped\./);
  t.throws(() => statSync(join(cli.cwd, '.chatctl/server.json')), {code: 'ENOENT'});
});

/** Everything on stdout up to this text. */
async function outputUntil(server: ReturnType<typeof startProcess>, last: string): Promise<string> {
  await server.line(last);
  return server.stdout();
}

test('a running server is found by what is on its database, and named beside another without a claim', async t => {
  const cli = await newcomer(t);
  const server = startProcess(t, cli, ['dev', '--json']);
  const {api: url} = JSON.parse(await server.line('"ready"')) as {api: string};
  const other = ['--db', `sqlite:${join(cli.cwd, 'other.db')}`];
  await cli(['migrate', 'up', ...other]);
  t.is((await cli(['status', '--json'])).at('server'), url);
  // The same file by another name of it.
  t.is((await cli(['status', '--json', '--db', `file:${cli.cwd}/.chatctl/../.chatctl/chat.db`])).at('server'), url);

  const elsewhere = await cli(['status', '--json', ...other]);
  t.is(elsewhere.code, 0, elsewhere.stderr);
  t.is(elsewhere.at('server'), null);
  const said = `A server of this project runs at ${url}, and serves sqlite ${join(cli.cwd, '.chatctl/chat.db')}.`;
  t.true(elsewhere.stderr.includes(said), elsewhere.stderr);
  // Nor is it taken for the server of the other database by who would look into its streams.
  t.is((await cli(['verify'])).code, 0);
  await cli(['room', 'create', 'general', '--member', 'alice', ...other]);
  t.is((await cli(['verify', ...other])).code, 5);
  const port = await cli(['doctor', '--only', 'port', ...other]);
  t.true(port.stdout.includes(`a server of this project runs at ${url}`), port.stdout);
});

test('a second start keeps data and secrets and says so', async t => {
  const cli = await newcomer(t);
  const first = startProcess(t, cli, ['dev', '--json', '--seed', 'small']);
  await first.line('"ready"');
  t.is((await cli(['status', '--json'])).at('counts.messages'), 200);
  const secrets = readFileSync(join(cli.cwd, '.chatctl/config.json'), 'utf8');
  await cli(['message', 'post', 'general', 'kept']);
  first.child.kill('SIGTERM');
  t.is((await first.ended).code, 143);

  const second = startProcess(t, cli, ['dev', '--json', '--users', 'alice,carol', '--seed', 'small']);
  const ready = JSON.parse(await second.line('"ready"')) as {tokens: object};
  t.deepEqual(Object.keys(ready.tokens), ['alice', 'carol']);
  t.is(readFileSync(join(cli.cwd, '.chatctl/config.json'), 'utf8'), secrets);
  t.is((await cli(['message', 'list', 'general', '--limit', '1', '--fields', 'content'])).stdout, 'kept\n');
  t.is((await cli(['status', '--json'])).at('counts.messages'), 201);
  t.regex((await cli(['member', 'list', 'general', '--all', '-o', 'id'])).stdout, /^alice\n[^]*carol\n/);
  second.child.kill('SIGINT');
  const ended = await second.ended;
  t.regex(ended.stderr, /nothing was seeded[^]*earlier start/);
  t.regex(ended.stdout, /"type":"end","reason":"SIGINT"/);
});

test('secrets that are set elsewhere win, and a taken port moves on and is said', async t => {
  const cli = await newcomer(t);
  const first = startProcess(t, cli, ['dev', '--json']);
  const {api} = JSON.parse(await first.line('"ready"')) as {api: string};
  const {port} = new URL(api);
  const other = await newcomer(t);
  Object.assign(other.env, {SECRET_KEY: 'from-elsewhere-0123456789-0123456789', PORT: port});
  const second = startProcess(t, other, ['dev']);
  await second.line('bob  ey');
  t.notRegex(readFileSync(join(other.cwd, '.chatctl/config.json'), 'utf8'), /JWT_SECRET/);
  const smoke = await other(['smoke', '--json']);
  t.is(smoke.at('ok'), true, smoke.stdout);
  second.child.kill('SIGINT');
  t.regex((await second.ended).stderr, new RegExp(`Port ${port} is taken; the API is on \\d+`));

  const third = await runProcess(t, await newcomer(t), ['dev', '--port', port, '--json']);
  t.is(third.code, 4, third.stdout);
  t.is(third.stdout, '');
  t.regex(third.stderr, new RegExp(`"code":"port_taken","message":"Port ${port} is taken`));
});

test('dev serves without the demo users who cannot be had, and says who that is and what to do', async t => {
  const cli = await newcomer(t);
  await cli(['migrate', 'up']);
  await cli(['user', 'upsert', 'bob', '--username', 'Bob B']);
  await cli(['user', 'upsert', 'alice']);
  await cli(['user', 'deactivate', 'bob', '--yes']);
  await cli(['user', 'erase', 'alice', '--messages', 'keep', '--confirm', 'alice']);

  const nobody = startProcess(t, cli, ['dev']);
  await nobody.line('"general" with nobody');
  nobody.child.kill('SIGINT');
  const {code, stdout, stderr} = await nobody.ended;
  t.is(code, 0, stderr);
  t.notRegex(stdout, /undefined/);
  t.true(stderr.includes('The user alice was erased; the id cannot be used again. Start with others: '), stderr);
  t.regex(stderr, / dev --users 'bob,carol'\n/);
  t.regex(stderr, /The user bob is deactivated\. To have them back: .* user upsert bob --username 'Bob B'\n/);

  const third = startProcess(t, cli, ['dev', '--json', '--users', 'alice,carol']);
  const {tokens} = JSON.parse(await third.line('"ready"')) as {tokens: object};
  t.deepEqual(Object.keys(tokens), ['carol']);
  third.child.kill('SIGINT');
  t.is((await third.ended).code, 0);
});

/** The addresses of the start that is the last of so many. */
function readyAgain(server: TestProcess, times: number): Promise<{api: string}> {
  return until(() => {
    const lines = server
      .stdout()
      .split('\n')
      .filter(line => line.includes('"ready"') && line.endsWith('}'));
    return lines.length === times ? (JSON.parse(lines.at(-1) ?? '') as {api: string}) : undefined;
  }, `dev to be ready for the ${times}. time`);
}

/** Where a page of this origin may ask. */
async function allowedOrigin(api: string, origin: string): Promise<string | null> {
  const {headers} = await fetch(`${api}/api/rooms/`, {headers: {origin}});
  return headers.get('access-control-allow-origin');
}

test('dev starts anew with the settings that were changed, and goes on when they cannot be used', async t => {
  const cli = await newcomer(t);
  const server = startProcess(t, cli, ['dev', '--json']);
  let stderr = '';
  server.child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const first = await readyAgain(server, 1);
  writeFileSync(join(cli.cwd, '.env'), 'RATE_LIMITS=nonsense\n');
  await until(() => stderr.includes('are not used'), 'the wrong setting to be told');
  t.is(await allowedOrigin(first.api, 'https://app.example'), null);
  writeFileSync(join(cli.cwd, '.env'), 'CORS_ORIGINS=https://app.example\n');
  const second = await readyAgain(server, 2);
  t.is(await allowedOrigin(second.api, 'https://app.example'), 'https://app.example');
  t.regex(stderr, /Changed: CORS_ORIGINS\.\nStarting on /);
  server.child.kill('SIGINT');
  const {code, stdout} = await server.ended;
  t.is(code, 0);
  t.is(stdout.match(/"type":"end"/g)?.length, 1);
});

test('dev waits with settings that it cannot run with until they change, and does not start with them', async t => {
  const cli = await newcomer(t);
  const server = startProcess(t, cli, ['dev', '--json']);
  let stderr = '';
  server.child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  await readyAgain(server, 1);
  const absent = 'DATABASE_URL=postgres://nobody@127.0.0.1:1/none\n';
  writeFileSync(join(cli.cwd, '.env'), absent);
  await until(() => stderr.includes('It cannot run with these settings'), 'the settings to be refused');
  writeFileSync(join(cli.cwd, '.env'), '');
  await readyAgain(server, 2);
  writeFileSync(join(cli.cwd, '.env'), absent);
  await until(() => stderr.match(/It cannot run/g)?.length === 2, 'the settings to be refused again');
  server.child.kill('SIGINT');
  t.is((await server.ended).code, 0);

  const refused = await startProcess(t, cli, ['dev', '--json']).ended;
  t.is(refused.code, 5, refused.stdout);
});

test('dev --no-watch goes on as it was started', async t => {
  const cli = await newcomer(t);
  writeFileSync(join(cli.cwd, '.env'), '');
  const server = startProcess(t, cli, ['dev', '--json', '--no-watch']);
  const {api} = await readyAgain(server, 1);
  writeFileSync(join(cli.cwd, '.env'), 'CORS_ORIGINS=https://app.example\n');
  // As another that watches has long seen it.
  const other = startProcess(t, cli, ['dev', '--json', '--db', `sqlite:${join(cli.cwd, 'other.db')}`]);
  await readyAgain(other, 1);
  writeFileSync(join(cli.cwd, '.env'), 'CORS_ORIGINS=https://new.example\n');
  await readyAgain(other, 2);
  t.is(await allowedOrigin(api, 'https://app.example'), null);
  t.is(await allowedOrigin(api, 'https://new.example'), null);
});
