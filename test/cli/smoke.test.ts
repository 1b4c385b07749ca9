import {execFile} from 'node:child_process';
import {cpSync, existsSync, readdirSync, readFileSync, symlinkSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {parse} from 'yaml';
import type {SettingName} from '../../src/settings.ts';
import {scenarioGuide} from '../../src/cli/smoke/guide.ts';
import {startEndpoint} from '../../src/realtime/endpoint.ts';
import type {Namespace} from '../../src/realtime/options.ts';
import {startBatchServer, batchServerKey} from '../helpers/batch-server.ts';
import {testSecrets} from '../helpers/chat.ts';
import {bareCli, cliBesideChat, fromSource, startProcess, type Ended, type TestCli} from '../helpers/cli.ts';
import {temporaryDir} from '../helpers/database.ts';
import {startTestServer} from '../helpers/server.ts';

const another = 'another-secret-0123456789-0123456789';

interface ToldStep {
  id: string;
  ok: boolean | null;
  error: string | null;
  exit_code: number;
}

function stepOf(ended: Ended, id: string): ToldStep | undefined {
  return (ended.at('steps') as ToldStep[]).find(step => step.id === id);
}

function failed(ended: Ended): string[] {
  return (ended.at('steps') as ToldStep[]).filter(step => step.ok === false).map(step => step.id);
}

/** The command line beside a server of its own, whose API it finds. */
async function beside(t: ExecutionContext): Promise<TestCli> {
  const {cli, chat} = await cliBesideChat(t);
  cli.env['CHATCTL_API_URL'] = chat.apiUrl;
  return cli;
}

test('smoke passes against a good server and leaves nothing behind', async t => {
  const cli = await beside(t);
  const {code, stdout, at} = await cli(['smoke', '--json']);
  t.is(code, 0, stdout);
  t.is(at('passed'), 11);
  t.is((await cli(['room', 'list', '--fields', 'name'])).stdout, '');
  const kept = await cli(['smoke', '--only', 'post', '--keep', '--json']);
  t.deepEqual(
    (kept.at('steps') as {id: string}[]).map(step => step.id),
    ['api', 'tokens', 'room', 'connect', 'join', 'post'],
  );
  t.regex((await cli(['room', 'list', '--fields', 'name'])).stdout, /^smoke /m);
  t.is((await cli(['smoke', '--list', '-o', 'ndjson'])).stdout.trim().split('\n').length, 11);
  t.is((await cli(['smoke', '--only', 'nonsense'])).code, 2);
});

test('piped, the steps are rows of tabs, and how it ended and what is asked is on stderr', async t => {
  const cli = await beside(t);
  const {stdout, stderr} = await cli(['smoke', '--only', 'api']);
  t.regex(stdout, /^ok\tapi\t\d+\tthe API answers and its database is ready\n$/);
  t.is(stderr, `Asking ${cli.env['CHATCTL_API_URL']} …\nok: 1 passed, 0 failed, 0 skipped\n`);
  const person = await cli(['smoke', '--only', 'api', '-o', 'table']);
  t.regex(person.stdout, /^ok {4}api +\d+ ms {2}the API answers and its database is ready\nok: 1 passed/);
});

test('steps are named by their numbers in the list too', async t => {
  const cli = await beside(t);
  t.is((await cli(['smoke', '--list', '--only', 'tokens'])).stdout.split('\n')[1]?.split('\t')[0], '2');
  const ids = (ended: Ended) => (ended.at('steps') as {id: string}[]).map(({id}) => id);
  t.deepEqual(ids(await cli(['smoke', '--only', '1,2', '--json'])), ['api', 'tokens']);
  for (const wrong of ['0', '12', '1.0']) {
    const {code, stderr} = await cli(['smoke', '--only', wrong, '--json']);
    t.is(code, 2);
    t.regex(stderr, /they have numbers too, from 1 to 11/);
  }
  // An id that looks like a number is one.
  const steps = [ready, {...ready, id: '3', needs: []}, {...ready, id: 'last', needs: []}];
  t.deepEqual(ids(await cli(['smoke', scenario(cli, steps), '--only', '3', '--json'])), ['3']);
});

/** A server whose Centrifugo is this endpoint, and the command line with the same settings. */
async function withCentrifugo(
  t: ExecutionContext,
  namespace: Namespace,
): Promise<{cli: TestCli; stop(): Promise<void>}> {
  const key = 'the-key-of-the-server-api';
  const endpoint = await startEndpoint({
    host: '127.0.0.1',
    port: 0,
    tokenSecret: testSecrets.CENTRIFUGO_TOKEN_SECRET,
    apiKey: key,
    namespaces: [namespace],
  });
  let running = true;
  const stop = async () => {
    if (running) await endpoint.close();
    running = false;
  };
  t.teardown(stop);
  const settings: Partial<Record<SettingName, string>> = {
    CENTRIFUGO_API_URL: `http://127.0.0.1:${endpoint.port}`,
    CENTRIFUGO_API_KEY: key,
  };
  const server = await startTestServer(t, 'sqlite', settings);
  const cli = await bareCli(t, 'sqlite');
  Object.assign(cli.env, settings, {CHATCTL_API_URL: server.apiUrl});
  return {cli, stop};
}

const goodNamespace: Namespace = {name: 'personal', historySize: 300, historyTtlMs: 600_000, forceRecovery: true};

test('a wrong secret, a stopped Centrifugo and history off are three different messages', async t => {
  const good = await withCentrifugo(t, goodNamespace);
  t.is((await good.cli(['smoke', '--json'])).code, 0);

  const wrongApi = await good.cli(['smoke', '--json'], {env: {JWT_SECRET: another}});
  t.is(wrongApi.code, 8);
  t.deepEqual(failed(wrongApi), ['tokens']);
  t.regex(String(stepOf(wrongApi, 'tokens')?.error), /JWT_SECRET is not the one here/);

  const wrongRealtime = await startTestServer(t, 'sqlite', {
    CENTRIFUGO_API_URL: good.cli.env['CENTRIFUGO_API_URL'] ?? '',
    CENTRIFUGO_API_KEY: good.cli.env['CENTRIFUGO_API_KEY'] ?? '',
    CENTRIFUGO_TOKEN_SECRET: another,
  });
  const refused = await good.cli(['smoke', '--json'], {env: {CHATCTL_API_URL: wrongRealtime.apiUrl}});
  t.is(refused.code, 8);
  t.deepEqual(failed(refused), ['connect']);
  t.regex(String(stepOf(refused, 'connect')?.error), /refused the token of the connection \(3500 invalid token\)/);

  await good.stop();
  const stopped = await good.cli(['smoke', '--json']);
  t.is(stopped.code, 5);
  t.deepEqual(failed(stopped), ['connect']);
  t.regex(
    String(stepOf(stopped, 'connect')?.error),
    /real-time endpoint ws:\/\/127\.0\.0\.1:\d+\/.* cannot be reached/,
  );

  const forgetful = await withCentrifugo(t, {name: 'personal'});
  const off = await forgetful.cli(['smoke', '--json']);
  t.is(off.code, 8);
  t.deepEqual(failed(off), ['recover']);
  t.regex(String(stepOf(off, 'recover')?.error), /keeps no history.*history_size, history_ttl and force_recovery/);
});

test('smoke tells a missing server, and events that are stored and never delivered', async t => {
  const cli = await beside(t);
  const nobody = await cli(['smoke', '--json', '--api-url', 'http://127.0.0.1:1']);
  t.is(nobody.code, 5);
  t.regex(String(nobody.at('steps.0.error')), /cannot be reached/);
  // Events go to a Centrifugo that takes them and keeps them; the clients connect to an endpoint that never gets any.
  const broker = await startBatchServer(t);
  const server = await startTestServer(t, 'sqlite', {
    CENTRIFUGO_API_URL: broker.url,
    CENTRIFUGO_API_KEY: batchServerKey,
  });
  const {code, at} = await cli(['smoke', '--json', '--api-url', server.apiUrl]);
  t.is(code, 9);
  t.regex(String(at('steps.4.error')), /did not get user_joined/);
});

test('--spawn needs nothing, takes nothing from around it, and writes every report', async t => {
  const cli = await bareCli(t, 'sqlite');
  writeFileSync(join(cli.cwd, '.env'), 'CENTRIFUGO_API_URL=http://127.0.0.1:1\nJWT_ISSUER=somebody\n');
  t.is((await cli(['smoke', '--spawn', '--api-url', 'http://127.0.0.1:1'])).code, 2);
  t.is((await cli(['smoke', '--spawn', '--report', 'xml'])).code, 2);
  t.is((await cli(['smoke', '--spawn', '--report', 'tap', '--report', 'junit'])).code, 2);
  t.is((await cli(['smoke', '--spawn', '--report', 'tap', '--json'])).code, 2);
  t.is((await cli(['smoke', '--spawn', '--report', 'tap=.env/no.tap'])).code, 2);

  const reports = ['--report', 'tap', '--report', 'junit=out/smoke.xml', '--report', 'json=out/smoke.json'];
  const {code, stdout, stderr} = await cli(['smoke', '--spawn', ...reports]);
  t.is(code, 0, stderr);
  const lines = stdout.split('\n');
  t.deepEqual(lines.slice(0, 2), ['TAP version 14', '1..11']);
  t.is(lines.filter(line => /^ok \d+ - /.test(line)).length, 11);
  t.regex(stderr, /11 passed, 0 failed, 0 skipped/);
  const xml = readFileSync(join(cli.cwd, 'out/smoke.xml'), 'utf8');
  t.regex(xml, /<testsuite name="smoke" tests="11" failures="0" errors="0" skipped="0"/);
  const json = JSON.parse(readFileSync(join(cli.cwd, 'out/smoke.json'), 'utf8')) as {ok: boolean; exit_code: number};
  t.deepEqual([json.ok, json.exit_code], [true, 0]);
  t.false(existsSync(join(cli.cwd, '.chatctl')));
});

/** A scenario in the folder of this command line. */
function scenario(cli: TestCli, steps: object[] | string, name = 'scenario.json'): string {
  writeFileSync(join(cli.cwd, name), typeof steps === 'string' ? steps : JSON.stringify({steps}));
  return name;
}

const ready = {id: 'ready', request: 'GET /readyz', as: 'nobody', status: 200};
const made = {id: 'room', request: 'POST /api/rooms/', body: {name: 'r', members: ['alice', 'bob']}};
const cleaned = {id: 'clean', request: 'GET /healthz', always: true};

const mistakes: Record<string, [steps: object[] | string, problem: RegExp]> = {
  'no JSON': ['{', /it is not JSON/],
  'no steps': ['{"steps": []}', /it must have "steps"/],
  'no verb': [[ready, {id: 'x', say: 'hi'}], /step 2 \(x\) must have exactly one of request, connect/],
  'two verbs': [[{id: 'x', connect: 'bob', drop: 'bob'}], /step 1 \(x\) must have exactly one/],
  'an unknown field': [[{...ready, expected: 1}], /step 1 \(ready\) is wrong.*expected/],
  'a bad request': [[{request: 'FETCH /'}], /step 1 is wrong at request: must be a method and a path/],
  'a bad duration': [[{connect: 'b'}, {expect: 'b', event: 'type==x', within: '5'}], /step 2 is wrong at within/],
  'a bad expression': [[{...ready, assert: ['status=200']}], /step 1 \(ready\) is wrong: The expression status=200/],
  'a bad user': [[{connect: 'not a user'}], /step 1 is wrong at connect: is no user id/],
  'a name that nobody captured': [
    [{...ready, capture: {message: 'body.id'}}, {request: 'GET /${mesage}'}],
    /step 2 uses \$\{mesage\}, which no earlier step captures; did you mean message/,
  ],
  'a need that is not there': [[{...ready, needs: ['later']}], /step 1 \(ready\) needs later/],
  'the same id twice': [[ready, ready], /step 2 \(ready\) has the id of an earlier step/],
  'nobody who could expect': [
    [{expect: 'bob', event: 'type==x'}],
    /step 1 is about bob, whom no earlier step connects/,
  ],
};

for (const [title, [steps, problem]] of Object.entries(mistakes)) {
  test(`a scenario with ${title} is refused before anything runs, and the step is named`, async t => {
    const cli = await bareCli(t, 'sqlite');
    const {code, stdout, stderr} = await cli(['smoke', scenario(cli, steps), '--spawn']);
    t.is(code, 2);
    t.is(stdout, '');
    t.regex(stderr, problem);
    t.regex(stderr, /chatctl help scenarios/);
  });
}

const outcomes: Record<string, [steps: object[], code: number, step: string, error: RegExp]> = {
  'another status': [[{...ready, status: 201}], 8, 'ready', /GET \/readyz answered 200 and not 201/],
  'an error where none was expected': [[{id: 'no', request: 'GET /none'}], 8, 'no', /answered 404/],
  'an assertion that does not hold': [
    [{...ready, assert: ['body.status==bad']}],
    8,
    'ready',
    /body\.status==bad does not hold of .*"status":"ok"/,
  ],
  'nothing to capture': [[{...ready, capture: {a: 'body.b.c'}}], 8, 'ready', /nothing at body\.b\.c/],
  'an event that does not come': [
    [{connect: 'bob'}, {id: 'told', expect: 'bob', event: 'type==message_added', within: '50ms'}],
    9,
    'told',
    /bob did not get type==message_added within 0\.05 s\. Nothing came/,
  ],
  'a user that cannot be': [
    [
      {...ready, capture: {who: 'body.checks'}},
      {id: 'x', connect: '${who}'},
    ],
    2,
    'x',
    /must be 1 to 200/,
  ],
};

for (const [title, [steps, code, id, error]] of Object.entries(outcomes)) {
  test(`a scenario with ${title} ends with ${code}, and what cleans up is done`, async t => {
    const cli = await beside(t);
    const ended = await cli([
      'smoke',
      scenario(cli, [...steps, {...cleaned, id: 'after', always: false}, cleaned]),
      '--json',
    ]);
    t.is(ended.code, code, ended.stdout);
    t.regex(String(stepOf(ended, id)?.error), error);
    t.is(stepOf(ended, 'after')?.ok, null);
    t.true(stepOf(ended, 'clean')?.ok);
  });
}

test('what was captured is one value, whatever is in it', async t => {
  const cli = await beside(t);
  const name = 'a" && body.x==1 \' \\ ${run} /?#';
  const steps = [
    {
      id: 'made',
      request: 'POST /api/rooms/',
      body: {name: 'x', key: 'a:b=c'},
      capture: {key: 'body.key', id: 'body.id'},
    },
    {
      id: 'named',
      request: 'PATCH /api/rooms/${id}/',
      body: {name: name.replace('${run}', '')},
      capture: {name: 'body.name'},
    },
    {
      id: 'same',
      request: 'GET /api/rooms/by-key/${key}/',
      assert: ['body.name==${name}', 'body.name=="${name}"', 'body.id==${id}', 'body.id<=${id}'],
    },
    {id: 'number', request: 'GET /api/rooms/', as: 'alice', assert: ['status==200'], capture: {all: 'body.results'}},
    {
      id: 'whole',
      request: 'POST /api/rooms/',
      body: {name: 'all ${all}', members: ['u-${id}']},
      assert: ['body.name=="all []"'],
    },
  ];
  const ended = await cli(['smoke', scenario(cli, steps), '--json']);
  t.is(ended.code, 0, ended.stdout);
});

test('--only takes a step with what it needs, --keep leaves out what cleans up, --list lists', async t => {
  const cli = await beside(t);
  const steps = [ready, {...made, id: 'other'}, {id: 'alone', request: 'GET /healthz', needs: ['ready']}, cleaned];
  const file = scenario(cli, steps);
  const ids = (ended: Ended) => (ended.at('steps') as {id: string}[]).map(({id}) => id);
  t.deepEqual(ids(await cli(['smoke', file, '--list', '--json'])), ['ready', 'other', 'alone', 'clean']);
  t.deepEqual(ids(await cli(['smoke', file, '--only', 'alone', '--json'])), ['ready', 'alone', 'clean']);
  t.deepEqual(ids(await cli(['smoke', file, '--only', 'alone', '--keep', '--json'])), ['ready', 'alone']);
  t.is((await cli(['smoke', file, '--only', 'nothing'])).code, 2);
  t.is((await cli(['smoke', 'nowhere.json'])).code, 3);
});

test('a module has steps that are functions, whose assertions are checks and whose faults are faults', async t => {
  const cli = await beside(t);
  const module = (body: string) => `import assert from 'node:assert/strict';
export const name = 'by hand';
export const steps = [
  {id: 'room', request: 'POST /api/rooms/', body: {name: 'r', members: ['alice', 'bob']}, capture: {room: 'body.id'}},
  {id: 'act', async run({values, request, connect, expect, drop, back}) { ${body} }},
  {id: 'after', request: 'GET /api/rooms/\${made}/'},
];`;
  const good = `await connect('bob');
    const {body, status} = await request('alice', 'POST', '/api/rooms/' + values.get('room') + '/messages/', {content: 'hi'});
    assert.equal(status, 201);
    assert.equal((await expect('bob', 'type==message_added && body.id==' + body.id)).body.content, 'hi');
    drop('bob');
    assert.equal(await back('bob'), true);
    values.set('made', values.get('room'));`;
  const passed = await cli(['smoke', scenario(cli, module(good), 'good.mjs'), '--json']);
  t.is(passed.code, 0, passed.stdout);
  t.is(passed.at('name'), 'by hand');
  const check = await cli(['smoke', scenario(cli, module('assert.equal(1, 2)'), 'check.mjs'), '--json']);
  t.is(check.code, 8);
  t.is((await cli(['smoke', scenario(cli, module('null.x'), 'fault.mjs'), '--json'])).code, 1);
  t.is((await cli(['smoke', scenario(cli, 'syntax error', 'broken.mjs'), '--json'])).code, 2);
  const other = await cli(['smoke', scenario(cli, 'export default [];', 'other.mjs'), '--json']);
  t.is(other.code, 2);
  t.regex(other.stderr, /is not valid: it exports default and not steps; write: export const steps = \[…\]\./);
  const listless = await cli(['smoke', scenario(cli, 'export const steps = [{}, 7];', 'listless.mjs'), '--json']);
  t.regex(listless.stderr, /"steps\\", a list of 1 to 1000 objects, and may have .*; look at steps\.1\./);
});

test('reports hold whatever is in a failure', async t => {
  const cli = await beside(t);
  const about = 'a # b \\ <c> & "d" \u0001 \u{1F600}';
  const steps = [
    {...ready, about, assert: ['body.status=="<&\'#>"']},
    {id: 'gone', needs: [], connect: 'bob'},
    {id: 'late', needs: ['gone'], expect: 'bob', event: 'type==x', within: '1ms'},
    {id: 'skipped', request: 'GET /healthz'},
  ];
  const reports = ['--report', 'tap=r.tap', '--report', 'junit=r.xml', '--json'];
  const ended = await cli(['smoke', scenario(cli, steps), ...reports]);
  t.is(ended.code, 8);
  const tap = readFileSync(join(cli.cwd, 'r.tap'), 'utf8');
  t.regex(tap, /^not ok 1 - ready: a \\# b \\\\ <c> & "d"/m);
  t.regex(tap, /^ok 4 - skipped: .* # SKIP /m);
  const xml = readFileSync(join(cli.cwd, 'r.xml'), 'utf8');
  t.regex(xml, /tests="4" failures="2" errors="0" skipped="1"/);
  t.regex(xml, /ready: a # b \\ &lt;c&gt; &amp; &quot;d&quot; \uFFFD \u{1F600}"/u);
  t.regex(xml, /<failure message="[^"<]*&lt;&amp;/);
  const unreachable = await cli(['smoke', scenario(cli, [ready]), ...reports, '--api-url', 'http://127.0.0.1:1']);
  t.is(unreachable.code, 5);
  t.regex(readFileSync(join(cli.cwd, 'r.xml'), 'utf8'), /failures="0" errors="1"[\s\S]*<error message=/);
});

// Those that start processes go first and one by one: beside all the others a start takes its time.
test.serial('the example of the help passes, with chatctl beside it', async t => {
  const cli = await bareCli(t, 'sqlite');
  scenario(cli, scenarioGuide.slice(scenarioGuide.indexOf('{'), scenarioGuide.indexOf('\n  }\n') + 4));
  const ended = await cli(['smoke', 'scenario.json', '--spawn', '--json', '--timeout', '110s'], {started: fromSource});
  t.is(ended.code, 0, ended.stdout + ended.stderr);
  t.is(ended.at('passed'), 8);
});

test.serial(
  'after Ctrl-C the step fails, what cleans up is done, reports are written, and the server is gone',
  async t => {
    const cli = await bareCli(t, 'sqlite');
    cli.env['TMPDIR'] = temporaryDir(t);
    const waits = {id: 'waits', expect: 'bob', event: 'type==never', within: '60s'};
    scenario(cli, [{id: 'on', connect: 'bob'}, waits, {...cleaned, request: 'POST /api/rooms/', body: {name: 'x'}}]);
    const spawned = () => readdirSync(cli.env['TMPDIR'] ?? '').filter(name => name.startsWith('chatctl-smoke-'));
    const run = startProcess(t, cli, ['smoke', 'scenario.json', '--spawn', '-o', 'ndjson', '--report', 'junit=r.xml']);
    await run.line('"on"');
    t.is(spawned().length, 1);
    run.child.kill('SIGINT');
    const ended = await run.ended;
    t.is(ended.code, 130, ended.stderr);
    t.regex(ended.stdout, /"id":"waits".*"ok":false.*Interrupted/);
    t.regex(ended.stdout, /"id":"clean".*"ok":true/);
    t.regex(readFileSync(join(cli.cwd, 'r.xml'), 'utf8'), /errors="1"/);
    t.deepEqual(spawned(), []);
  },
);

test.serial('the CI job of the README does on a fresh copy what it says', async t => {
  const [, job = ''] = /```yaml\n(jobs:[^`]*)```/.exec(readFileSync('README.md', 'utf8')) ?? [];
  const {jobs} = parse(job) as {jobs: {smoke: {steps: {run?: string}[]}}};
  const lines = jobs.smoke.steps.flatMap(({run}) => run ?? []);
  t.is(lines.length, 2);
  t.is(lines[0], 'npm ci');
  const copy = temporaryDir(t);
  for (const name of ['package.json', 'bin', 'src', 'migrations', 'tsconfig.json'])
    cpSync(name, join(copy, name), {recursive: true});
  // In place of npm ci, which would ask the registry.
  symlinkSync(join(process.cwd(), 'node_modules'), join(copy, 'node_modules'));
  const sh = (line: string) =>
    new Promise<{status: unknown; output: string}>(resolve => {
      execFile('sh', ['-c', line], {cwd: copy, env: {PATH: process.env['PATH']}}, (error, stdout, stderr) =>
        resolve({status: error === null ? 0 : error.code, output: stdout + stderr}),
      );
    });
  const good = await sh(lines[1] ?? '');
  t.is(good.status, 0, good.output);
  t.regex(readFileSync(join(copy, 'smoke.xml'), 'utf8'), /tests="11" failures="0" errors="0" skipped="0"/);
  const late = await sh(`${lines[1]} --timeout 1ms`);
  t.is(late.status, 9, late.output);
  t.regex(readFileSync(join(copy, 'smoke.xml'), 'utf8'), /<failure/);
});
