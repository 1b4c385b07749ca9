// IMPORT_ROWS=100000 KILLS=10 run the killed import at the size that is promised.
import {appendFileSync, copyFileSync, existsSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {type ExecutionContext} from 'ava';
import {loadConfig} from '../../src/config.ts';
import {openChat, type OpenChat} from '../../src/open.ts';
import {startProcess, testCli, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {makeDear} from '../helpers/halfway.ts';
import {until} from '../helpers/until.ts';

const size = Number(process.env['IMPORT_ROWS'] ?? 600);
const kills = Number(process.env['KILLS'] ?? 2);

async function chatOf(cli: TestCli): Promise<OpenChat> {
  return openChat(loadConfig({env: cli.env, cwd: cli.cwd}));
}

/** People of which every 50th row is refused and every 60th names somebody again. */
function people(rows: number): string {
  const lines = Array.from({length: rows}, (_, i) => {
    if (i % 50 === 49) return `not#an#id,Row ${i},member`;
    return i % 60 === 59
      ? `p${i - 1},"Again, ${i}",member`
      : `p${i},"Person, ${i}",${i % 100 === 0 ? 'admin' : 'member'}`;
  });
  return ['id,username,role', ...lines, ''].join('\n');
}

interface Left {
  members: unknown[];
  users: unknown[];
  rejects: string;
  events: {type: string; added: number; version: number}[];
  room: unknown;
}

async function leftBy(cli: TestCli): Promise<Left> {
  const chat = await chatOf(cli);
  try {
    const {sql} = chat.db;
    const events = await sql('outbox').orderBy('id');
    return {
      members: await sql('members').select('user_id', 'role', 'last_read_seq').orderBy('user_id'),
      users: await sql('users').select('id', 'username').orderBy('id'),
      rejects: readFileSync(join(cli.cwd, 'bad.csv'), 'utf8'),
      events: events.map(({type, body, version}) => ({
        type: String(type),
        version: Number(version),
        added: (JSON.parse(String(body)) as {body: {added: number}}).body.added,
      })),
      room: await sql('rooms').select('version', 'member_count').first(),
    };
  } finally {
    await chat.close();
  }
}

const command = ['member', 'import', 'general', 'people.csv', '--map', 'user=id', '--rejects', 'bad.csv', '--json'];

async function prepared(cli: TestCli, rows: number): Promise<void> {
  await cli(['room', 'create', 'general']);
  writeFileSync(join(cli.cwd, 'people.csv'), people(rows));
}

for (const database of databases) {
  test(`${database}: members come from CSV; rows that cannot be are written aside with the reason, and one event tells of all`, async t => {
    const cli = await testCli(t, database);
    await prepared(cli, 250);
    const dry = await cli([...command.filter(each => each !== '--rejects' && each !== 'bad.csv'), '--dry-run']);
    t.is(dry.code, 7);
    t.is(dry.at('added'), 241);
    t.is(dry.at('event.data.body.added'), 241);
    t.false(existsSync(join(cli.cwd, 'people.csv.checkpoint.json')));
    const chat = await chatOf(cli);
    t.is((await chat.db.sql('members')).length, 0);
    await chat.close();

    const {code, at, stderr} = await cli([...command, '--batch', '100']);
    t.is(code, 7, stderr);
    t.deepEqual(['type', 'read', 'added', 'existing', 'rejected', 'members'].map(at), ['end', 250, 241, 4, 5, 241]);
    const left = await leftBy(cli);
    t.deepEqual(left.events, [{type: 'members_changed', added: 241, version: 1}]);
    const rejects = left.rejects.trim().split('\n');
    t.is(rejects[0], 'id,username,role,reason');
    t.is(rejects.length, 6);
    t.regex(rejects[1] ?? '', /^not#an#id,Row 49,member,user must be/);

    writeFileSync(join(cli.cwd, 'mended.csv'), left.rejects.replaceAll('not#an#id', 'mended'));
    const again = await cli(['member', 'import', 'general', 'mended.csv', '--map', 'user=id', '--json']);
    t.is(again.code, 0, again.stderr);
    t.deepEqual([again.at('added'), again.at('existing')], [1, 4]);
  });

  test(`${database}: what ended after a first batch with rejects goes on, its rejects file with it`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general']);
    const file = join(cli.cwd, 'people.csv');
    const rows = ['user', 'not#an#id', ...Array.from({length: 9}, (_, i) => `user${i}`)];
    writeFileSync(file, [...rows, 'late', '"never closed'].join('\n'));
    const import10 = ['member', 'import', 'general', 'people.csv', '--batch', '10', '--rejects', 'bad.csv', '--json'];
    t.is((await cli(import10)).code, 2);
    t.is((await cli(import10)).code, 4);
    writeFileSync(file, [...rows, 'late', 'bad#again'].join('\n'));
    const resumed = await cli([...import10, '--resume']);
    t.is(resumed.code, 7, resumed.stderr);
    t.deepEqual(['read', 'added', 'rejected'].map(resumed.at), [12, 10, 2]);
    const rejects = readFileSync(join(cli.cwd, 'bad.csv'), 'utf8').trim().split('\n');
    t.deepEqual(
      rejects.map(line => line.split(',')[0]),
      ['user', 'not#an#id', 'bad#again'],
    );
  });

  test(`${database}: an import that is killed again and again leaves the same as one that is not`, async t => {
    const clean = await testCli(t, database);
    await prepared(clean, size);
    t.is((await clean(command)).code, 7);

    const cli = await testCli(t, database);
    await prepared(cli, size);
    const path = join(cli.cwd, 'people.csv.checkpoint.json');
    const rowsIn = () => {
      try {
        return (JSON.parse(readFileSync(path, 'utf8')) as {rows: number}).rows;
      } catch {
        return 0;
      }
    };
    const batch = String(Math.max(20, size / 100));
    const chat = await chatOf(cli);
    t.teardown(() => chat.close());
    // Few rows must be dear, or they are in before the kill.
    const cheap = await makeDear(chat.db, 'members', size < 10_000 ? 1_000_000 : 50_000);
    let behind = false;
    for (let kill = 0; kill < kills; kill++) {
      const running = startProcess(t, cli, [...command, '--batch', batch, '--resume']);
      // The last third is left to whoever is slow to look.
      const wanted = (size * (kill + 0.5)) / (kills + 1);
      const early = running.ended.then(({stderr}) =>
        Promise.reject(new Error(`it ended before row ${wanted}: ${stderr}`)),
      );
      early.catch(() => undefined);
      await Promise.race([until(() => rowsIn() >= wanted, `row ${wanted}`, 60_000), early]);
      if (kill === 0) copyFileSync(path, `${path}.old`);
      // Somewhere between two commits, a commit and its checkpoint, or in the middle of a write.
      await new Promise(resolve => setTimeout(resolve, (kill * 7) % 23));
      running.child.kill('SIGKILL');
      await running.ended;
      if (kill > 0) continue;
      // As if the kill had come after the commit, before the checkpoint and in the middle of the rejects.
      behind = true;
      copyFileSync(`${path}.old`, path);
      if (existsSync(join(cli.cwd, 'bad.csv'))) appendFileSync(join(cli.cwd, 'bad.csv'), 'torn,"row');
    }
    t.true(behind);
    await cheap();
    const refused = await cli(command);
    t.is(refused.code, 4, refused.stderr);
    t.regex(refused.stderr, /--resume/);
    const last = await cli([...command, '--resume']);
    t.is(last.code, 7, last.stderr);
    t.is(last.at('read'), size);
    t.false(existsSync(path));
    t.deepEqual(await leftBy(cli), await leftBy(clean));
    t.is((await leftBy(cli)).events.length, 1);
  });
}

test('C8: Ctrl-C ends the batch, tells how to go on with the same options, and exits 130', async t => {
  const cli = await testCli(t, 'sqlite');
  await prepared(cli, 3_000);
  await cli(['room', 'rename', 'general', 'with a space']);
  const given =
    "member import id:1 people.csv --format csv --map user=id --map role=role --batch 20 --rejects 'my bad.csv' --event none";
  const manner = "--output json --fields 'read,rejected' --verbose --no-color --no-input --progress none";
  const running = startProcess(t, cli, words(`${given} ${manner}`));
  await until(() => existsSync(join(cli.cwd, 'people.csv.checkpoint.json')), 'the first batch', 25_000);
  running.child.kill('SIGINT');
  const {code, stderr} = await running.ended;
  t.is(code, 130, stderr);
  const [, line = ''] = /Go on with: .*?chatctl\.js (.*)/.exec(stderr) ?? [];
  t.is(line, `${given} --resume ${manner}`);
  const resumed = await cli(words(line));
  t.is(resumed.code, 7, resumed.stderr);
  t.is(resumed.at('read'), 3_000);
});

for (const rehearsal of [true, false]) {
  const title = rehearsal ? 'a rehearsal, with nothing to go on with' : 'an import';
  test(`Ctrl-C ends ${title}, though whoever writes its input goes on`, async t => {
    const cli = await testCli(t, 'sqlite');
    await cli(['room', 'create', 'general']);
    const args = ['member', 'import', 'general', '-', '--batch', '1', ...(rehearsal ? ['--dry-run'] : [])];
    const running = startProcess(t, cli, args, 'user\nnot#an#id\nlate\n', {goesOn: true});
    let told = '';
    running.child.stderr?.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await until(() => told.includes('Rejected row 2'), 'the first batch');
    running.child.kill('SIGINT');
    const {code, stderr} = await running.ended;
    t.is(code, 130, stderr);
    t.is(/Stopped after \d+ row\(s\); it was a rehearsal, and none are in\./.test(stderr), rehearsal, stderr);
    t.is(stderr.includes('Go on with: '), !rehearsal, stderr);
  });
}

function words(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

/** Ends behind several batches, of which the first has a rejected row, at a quote far behind in the file. */
async function endedEarly(t: ExecutionContext, more: string[]) {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const file = join(cli.cwd, 'people.csv');
  const rows = ['user,username', 'not#an#id,', ...Array.from({length: 2_000}, (_, i) => `user${i},${'x'.repeat(90)}`)];
  const inHundreds = ['member', 'import', 'general', 'people.csv', '--batch', '100', '--json'];
  writeFileSync(file, [...rows, '"never closed'].join('\n'));
  t.is((await cli([...inHundreds, ...more])).code, 2);
  writeFileSync(file, [...rows, 'bad#again,', ''].join('\n'));
  return {cli, file, goOn: (rejects: string) => cli([...inHundreds, '--resume', '--rejects', rejects])};
}

test('an import that was begun without a rejects file goes on with one that has the rest, and says so', async t => {
  const {cli, goOn} = await endedEarly(t, []);
  const resumed = await goOn('bad.csv');
  t.is(resumed.code, 7, resumed.stderr);
  t.regex(resumed.stderr, /2 row\(s\) were rejected\. 1 of them are in bad\.csv; those before it was named are not\./);
  t.regex(readFileSync(join(cli.cwd, 'bad.csv'), 'utf8'), /^user,username,reason\nbad#again,,user must be [^\n]*\n$/);
});

test('an import goes on with no file but its own for rejects, and never writes over its input', async t => {
  const {cli, file, goOn} = await endedEarly(t, ['--rejects', 'bad.csv']);
  const before = readFileSync(file, 'utf8');
  writeFileSync(join(cli.cwd, 'notes.txt'), 'mine '.repeat(100));
  for (const [rejects, says] of [
    ['people.csv', /The file .*people\.csv exists/],
    ['notes.txt', /The file .*notes\.txt exists/],
    ['.', /exists/],
    ['other.csv', /does not hold what this import has rejected so far/],
  ] as const) {
    const refused = await goOn(rejects);
    t.is(refused.code, 4, refused.stderr);
    t.regex(refused.stderr, says);
  }
  t.is(readFileSync(file, 'utf8'), before);
  t.is(readFileSync(join(cli.cwd, 'notes.txt'), 'utf8'), 'mine '.repeat(100));
  t.is((await goOn('bad.csv')).code, 7);
});

test('a rejects file that cannot be written is told before the first row goes in', async t => {
  const cli = await testCli(t, 'sqlite');
  await prepared(cli, 60);
  const given = command.map(each => (each === 'bad.csv' ? join('nowhere', 'bad.csv') : each));
  const {code, stderr} = await cli(given);
  t.is(code, 2, stderr);
  t.regex(stderr, /nowhere\/bad\.csv cannot be written \(ENOENT\)/);
  t.is((await cli(['member', 'list', 'general'])).stdout, '');
});

test('NDJSON and what `member list` writes are read, from a pipe too', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  await cli(['room', 'create', 'other']);
  const lines =
    '{"user":"bob","role":"admin"}\n{"user":7}\n\nnonsense\n{"user":{"id":"carol","username":"Carol"}}\n[1]\n';
  const piped = await cli(['member', 'import', 'general', '-', '--rejects', 'bad.ndjson', '--json'], {stdin: lines});
  t.is(piped.code, 7, piped.stderr);
  t.deepEqual([piped.at('added'), piped.at('rejected')], [3, 2]);
  t.is(
    readFileSync(join(cli.cwd, 'bad.ndjson'), 'utf8'),
    '{"line":"nonsense","reason":"the line is not JSON"}\n{"line":"[1]","reason":"the line is not a JSON object"}\n',
  );
  for (const format of ['csv', 'ndjson']) {
    const {stdout} = await cli(['member', 'list', 'general', '--all', '-o', format]);
    const copied = await cli(['member', 'import', 'other', '-', '--json'], {stdin: stdout});
    t.is(copied.code, 0, copied.stderr);
    t.is(copied.at('members'), 4);
  }
  const shown = await cli(['member', 'list', 'other', '--json']);
  t.is(shown.at('members.3.role'), 'member');
  t.is(shown.at('members.2.role'), 'admin');
});

const mistakes: Record<string, {file?: string; args?: string[]; code: number; says: RegExp}> = {
  'no such file': {code: 3, says: /There is no file people\.csv/},
  'a folder': {args: ['.'], code: 2, says: /is a directory/},
  // V3
  'no column of users': {file: 'name,mail\na,b\n', code: 2, says: /no column user: it is name, mail[\s\S]*--map user=/},
  'a mapped column that is not there': {
    file: 'id\na\n',
    args: ['people.csv', '--map', 'user=ids'],
    code: 2,
    says: /no column ids/,
  },
  'a mapped field that means nothing': {
    file: 'id\na\n',
    args: ['people.csv', '--map', 'usr=id'],
    code: 2,
    says: /user, role, username/,
  },
  // V1
  'nothing in it': {file: '', code: 2, says: /The input is empty: its first line names the columns/},
  'a line end alone': {file: '\n', code: 2, says: /The input is empty/},
  // V3
  'a column twice': {file: 'user,role,role\na,admin,member\n', code: 2, says: /column role twice/},
  // V5
  'a quote that is not closed to the end': {file: 'user\na\n"b\nc\n', code: 2, says: /CSV cannot be read.* line 4/},
  'a quote that nobody closes': {file: 'user\n"a\n'.padEnd(1_200_000, 'x'), code: 2, says: /CSV cannot be read/},
  // V4: the row, with the header as the first, and how many cells it should have.
  'fewer cells than the header': {
    file: 'user,role\na\n',
    code: 7,
    says: /Rejected row 2: the row has 1 cell\(s\), and the header 2/,
  },
  'more cells than the header': {
    file: `user\na\nb${','.repeat(10_000)}\n`,
    code: 7,
    says: /Rejected row 3: the row has 10001 cell\(s\), and the header 1/,
  },
  // V8
  'a cell of more than a megabyte': {
    file: `user,username\na,${'x'.repeat(1_100_000)}\n`,
    code: 2,
    says: /CSV cannot be read.*1048576.*line 2/,
  },
  'a role that there is not': {
    file: 'user,role\na,owner\n',
    code: 7,
    says: /Rejected row 2: role must be member or admin/,
  },
  // V7
  'a name with NUL': {file: 'user,username\na,x\u0000y\n', code: 7, says: /Rejected row 2: username holds/},
  'bytes that are no text': {file: 'user\na\u0000b\n', code: 7, says: /Rejected row 2/},
};

for (const [title, {file, args = ['people.csv'], code, says}] of Object.entries(mistakes)) {
  test(`an input with ${title} ends with ${code} and says what is wrong`, async t => {
    const cli = await testCli(t, 'sqlite');
    await cli(['room', 'create', 'general']);
    if (file !== undefined) writeFileSync(join(cli.cwd, 'people.csv'), file);
    const ended = await cli(['member', 'import', 'general', ...args]);
    t.is(ended.code, code, ended.stderr);
    t.regex(ended.stderr, says);
    t.notRegex(ended.stderr, /\n\s+at /);
  });
}

test('an input that was changed, and a checkpoint of another room, are not gone on with', async t => {
  const cli = await testCli(t, 'sqlite');
  await prepared(cli, 3_000);
  const chat = await chatOf(cli);
  t.teardown(() => chat.close());
  const cheap = await makeDear(chat.db, 'members', 1_000_000);
  const running = startProcess(t, cli, [...command, '--batch', '20']);
  const path = join(cli.cwd, 'people.csv.checkpoint.json');
  const begun = () => existsSync(path) && /"rows":[1-9]/.test(readFileSync(path, 'utf8'));
  await until(begun, 'the first batch', 25_000);
  running.child.kill('SIGINT');
  await running.ended;
  await cheap();
  const other = await cli(['room', 'create', 'other', '-o', 'id']);
  const wrong = await cli(['member', 'import', other.stdout.trim(), 'people.csv', '--map', 'user=id', '--resume']);
  t.is(wrong.code, 4, wrong.stderr);
  t.regex(wrong.stderr, /another room/);
  writeFileSync(join(cli.cwd, 'people.csv'), people(3_000).replace('Person, 3', 'Someone, 3'));
  const changed = await cli([...command, '--resume']);
  t.is(changed.code, 4, changed.stderr);
  t.regex(changed.stderr, /not those that were imported/);
  writeFileSync(join(cli.cwd, 'people.csv'), people(3_000));
  t.is((await cli([...command, '--resume'])).code, 7);
});

test('V2: semicolons, a byte order mark and CRLF are read as spreadsheets write them', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const text = '\uFEFFuser;username\r\nalice;"Alice; A"\r\n;nobody\r\n';
  const ended = await cli(['member', 'import', 'general', '-', '--rejects', 'bad.csv', '--json'], {stdin: text});
  t.is(ended.at('added'), 1, ended.stderr);
  t.is(readFileSync(join(cli.cwd, 'bad.csv'), 'utf8'), 'user;username;reason\n;nobody;user is missing\n');
  t.is((await cli(['user', 'show', 'alice', '--json'])).at('user.username'), 'Alice; A');
});

const accepted: Record<string, {file: string | Buffer; users: string[]; names?: string[]}> = {
  'V1: a header alone': {file: 'user\n', users: []},
  'V1: a header alone without an end of the line': {file: 'user', users: []},
  'V2: line ends of the old Mac': {file: 'user\ra\rb\r', users: ['a', 'b']},
  'V2: line ends of two kinds, and no last one': {file: 'user\r\na\r\nb\nc', users: ['a', 'b', 'c']},
  'V2: CRLF, and no last one': {file: 'user\r\na\r\nb', users: ['a', 'b']},
  'V2: a byte order mark': {file: '\uFEFFuser\na\n', users: ['a']},
  'V6: commas and quotes in cells': {
    file: 'user,username\na,"A, ""the"" first"\n',
    users: ['a'],
    names: ['A, "the" first'],
  },
  'V6: a line break in a cell that is not looked at': {file: 'user,note\na,"x\ny"\nb,z\n', users: ['a', 'b']},
  'V5: a quote inside a cell without quotes': {file: 'user,username\na,5" tube\n', users: ['a'], names: ['5" tube']},
  'V7: UTF-16, as some spreadsheets write it': {file: Buffer.from('\uFEFFuser\na\n', 'utf16le'), users: ['a']},
  'V8: ten thousand columns': {
    file: `${['user', ...Array.from({length: 9_999}, (_, i) => `c${i}`)].join(',')}\na${','.repeat(9_999)}\n`,
    users: ['a'],
  },
};
for (const [title, {file, users, names = users}] of Object.entries(accepted)) {
  test(`${title}: the rows go in, and the same file again changes nothing (V12)`, async t => {
    const cli = await testCli(t, 'sqlite');
    await cli(['room', 'create', 'general']);
    writeFileSync(join(cli.cwd, 'people.csv'), file);
    for (const added of [users.length, 0]) {
      const {code, at, stderr} = await cli(['member', 'import', 'general', 'people.csv', '--json']);
      t.is(code, 0, stderr);
      t.is(at('added'), added, stderr);
      const listed = (await cli(['member', 'list', 'general', '--json'])).at('members') as Listed[];
      t.deepEqual(
        listed.map(({user}) => user),
        users.map((id, i) => ({id, username: names[i] ?? id})),
      );
    }
    const chat = await chatOf(cli);
    t.is((await chat.db.sql('outbox')).length, users.length > 0 ? 1 : 0, 'nobody is told twice');
    await chat.close();
  });
}

interface Listed {
  user: {id: string; username: string};
  role: string;
}

test('V9: a role is that of the first row, and one that is here stays', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'kate']);
  writeFileSync(join(cli.cwd, 'people.csv'), 'user,role\nkate,admin\na,admin\na,member\n');
  const {code, at, stderr} = await cli(['member', 'import', 'general', 'people.csv', '--json']);
  t.is(code, 0, stderr);
  t.deepEqual(['read', 'added', 'existing', 'rejected'].map(at), [3, 1, 2, 0]);
  const shown = await cli(['member', 'list', 'general', '--json']);
  t.deepEqual(
    (shown.at('members') as Listed[]).map(({user, role}) => [user.id, role]),
    [
      ['a', 'admin'],
      ['kate', 'member'],
    ],
  );
});

test('V10: of 1,000 rows one is refused, the others go in, and a rehearsal says so before', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general']);
  const rows = Array.from({length: 1_000}, (_, i) => (i === 898 ? 'not#an#id' : `u${i}`));
  writeFileSync(join(cli.cwd, 'people.csv'), ['user', ...rows, ''].join('\n'));
  const imported = ['member', 'import', 'general', 'people.csv', '--json'];
  const rehearsed = await cli([...imported, '--dry-run']);
  t.deepEqual([rehearsed.code, rehearsed.at('added'), rehearsed.at('rejected')], [7, 999, 1]);
  t.is((await cli(['member', 'list', 'general'])).stdout, '');
  const {code, at, stderr} = await cli(imported);
  t.deepEqual([code, at('added'), at('rejected')], [7, 999, 1]);
  t.regex(stderr, /Rejected row 900: user must be/);
});
