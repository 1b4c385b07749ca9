import test from 'ava';
import stringWidth from 'string-width';
import {testCli, type TestCli} from '../helpers/cli.ts';

async function withRooms(cli: TestCli): Promise<void> {
  await cli(['room', 'create', 'general', '--member', 'alice']);
  await cli(['room', 'create', '会議 "室"', '--key', 'k1']);
}

test('an empty list has the shape of a full one', async t => {
  const cli = await testCli(t, 'sqlite');
  t.is((await cli(['room', 'list', '--json'])).stdout, '{"rooms":[],"next":null}\n');
  t.is((await cli(['room', 'list'])).stdout, '');
});

test('a list is printed in every format', async t => {
  const cli = await testCli(t, 'sqlite');
  await withRooms(cli);
  const list = ['room', 'list', '--sort', 'id', '--fields', 'id,name,key,last_message'];
  t.is((await cli(list)).stdout, '1\tgeneral\t\t\n2\t会議 "室"\tk1\t\n');
  t.is((await cli([...list, '-o', 'csv'])).stdout, 'id,name,key,last_message\n1,general,,\n2,"会議 ""室""",k1,\n');
  t.is((await cli([...list, '-o', 'id'])).stdout, '1\n2\n');
  t.is(
    (await cli([...list, '-o', 'ndjson'])).stdout,
    '{"id":1,"name":"general","key":null,"last_message":null}\n{"id":2,"name":"会議 \\"室\\"","key":"k1","last_message":null}\n',
  );
  t.is((await cli([...list, '--json'])).at('rooms.1.name'), '会議 "室"');
  const table = (await cli(['room', 'list', '--sort', 'id', '-o', 'table', '--fields', 'name,key,id'])).stdout;
  t.is(table, 'NAME       KEY  ID\ngeneral    -    1\n会議 "室"  k1   2\n');
});

test('on a terminal a list is a table with times for people, in a pipe it is tab separated', async t => {
  const cli = await testCli(t, 'sqlite');
  await withRooms(cli);
  t.regex((await cli(['room', 'list'], {tty: true})).stdout, /^ID +NAME .*\n.* \d+ s ago\n/);
  t.regex((await cli(['room', 'list'])).stdout, /\t\d{4}-\d\d-\d\dT[\d:.]+Z\n/);
});

test('on a terminal a table fits the width: names and texts are cut there, and ids and what goes elsewhere never', async t => {
  const cli = await testCli(t, 'sqlite');
  const id = 'u'.repeat(30);
  await cli(['room', 'create', '会議'.repeat(20), '--key', 'a-key-of-its-own', '--member', id]);
  await cli(['message', 'post', 'id:1', 'long '.repeat(100), '--as', id]);
  for (const [args, columns] of [
    [['room', 'list'], 90],
    [['message', 'list', 'id:1'], 80],
    [['member', 'list', 'id:1'], 80],
  ] as const) {
    const {stdout} = await cli([...args], {tty: true, columns});
    for (const line of stdout.trimEnd().split('\n')) t.true(stringWidth(line) <= columns, line);
    const whole = await cli([...args], {tty: true, columns: 1_000});
    t.regex(stdout, /^(?:USER )?ID .*\n/);
    t.is(stdout.split('\n')[0]?.split(/ {2,}/).length, whole.stdout.split('\n')[0]?.split(/ {2,}/).length);
    t.true(stdout.includes('…'), stdout);
    t.false(whole.stdout.includes('…'));
    if (args[0] === 'room') t.true(stdout.includes(' a-key-of-its-own '), stdout);
    else t.true(stdout.includes(` ${id} `) || stdout.includes(`\n${id} `), stdout);
    // A file has no width.
    t.false((await cli([...args, '--output', 'table'], {columns})).stdout.includes('…'));
  }
});

test('where a terminal is too narrow for columns the fields of each thing stand below each other', async t => {
  const cli = await testCli(t, 'sqlite');
  await withRooms(cli);
  const list = ['room', 'list', '--sort', 'id'];
  const {stdout} = await cli([...list, '--fields', 'id,name,key,visibility,created_at'], {tty: true, columns: 40});
  t.regex(
    stdout,
    /^id: {10}1\nname: {8}general\nkey: {9}-\nvisibility: {2}public\ncreated_at: {2}.* ago\n\nid: {10}2\nname: {8}会議 "室"\n/,
  );
  // One column of long text is no reason: it goes on below itself, as terminals do it.
  const variables = await cli(['config', 'env'], {tty: true, columns: 80});
  t.regex(variables.stdout, /^NAME /);
});

test('T43, V11: in CSV a cell that a spreadsheet would take for a formula is led by a quote, and in JSON it is as it is', async t => {
  const cli = await testCli(t, 'sqlite');
  const names = ['=1+1', '+1', '-1', '@sum(a1)', 'a=1', '=hyperlink("http://x","y")'];
  for (const name of names) await cli(['room', 'create', '--', name]);
  const list = ['room', 'list', '--sort', 'id', '--fields', 'name'];
  const cells = ["'=1+1", "'+1", "'-1", "'@sum(a1)", 'a=1', `"'=hyperlink(""http://x"",""y"")"`];
  t.is((await cli([...list, '-o', 'csv'])).stdout, `name\n${cells.join('\n')}\n`);
  const {at} = await cli([...list, '--json']);
  t.deepEqual(
    at('rooms'),
    names.map(name => ({name})),
  );
});

test('an unknown field is refused with those there are', async t => {
  const cli = await testCli(t, 'sqlite');
  await withRooms(cli);
  const refused = await cli(['room', 'list', '--fields', 'id,nmae']);
  t.is(refused.code, 2);
  t.is(refused.stdout, '');
  t.regex(refused.stderr, /no field nmae[\s\S]*id, name/);
});

test('T42, C11: names that would steer the terminal are shown with their control characters escaped', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  await cli(['message', 'post', 'general', '-'], {stdin: 'line\nbreak \u202Eevil \u0085 end'});
  const plain = (await cli(['message', 'list', 'general', '--fields', 'content'])).stdout;
  t.is(plain, 'line\\nbreak \\u202eevil \\u0085 end\n');
  const json = await cli(['message', 'list', 'general', '--json']);
  t.false(/[\u0085\u202E]/.test(json.stdout));
  t.is(json.at('messages.0.content'), 'line\nbreak \u202Eevil \u0085 end');
});

test('a list that the limit cut says so and goes on from its cursor', async t => {
  const cli = await testCli(t, 'sqlite');
  for (const name of ['a', 'b', 'c']) await cli(['room', 'create', name]);
  const first = await cli(['room', 'list', '--sort', 'name', '--limit', '2', '--json']);
  t.regex(first.stderr, /--after/);
  const next = String(first.at('next'));
  const second = await cli(['room', 'list', '--sort', 'name', '--limit', '2', '--after', next, '--json']);
  t.is(second.at('rooms.0.name'), 'c');
  t.is(second.at('next'), null);
  t.is(
    (await cli(['room', 'list', '--sort', 'name', '--limit', '2', '--all', '--fields', 'name'])).stdout,
    'a\nb\nc\n',
  );
  t.is((await cli(['room', 'list', '--after', 'nonsense'])).code, 2);
});

test('--quiet silences notes and not data', async t => {
  const cli = await testCli(t, 'sqlite');
  const {stdout, stderr} = await cli(['room', 'create', 'general', '--member', 'alice', '-o', 'id', '-q']);
  t.is(stdout, '1\n');
  t.is(stderr, '');
});

test('colours follow --color, then NO_COLOR, then FORCE_COLOR, then the terminal', async t => {
  const cli = await testCli(t, 'sqlite');
  const colored = async (args: string[], env: Record<string, string>, tty: boolean) =>
    (await cli(['room', 'show', 'nowhere', ...args], {env, tty})).stderr.includes('\u001B[');
  t.false(await colored([], {}, false));
  t.true(await colored([], {}, true));
  t.false(await colored([], {TERM: 'dumb'}, true));
  t.false(await colored([], {NO_COLOR: '1'}, true));
  t.true(await colored([], {NO_COLOR: ''}, true));
  t.true(await colored([], {FORCE_COLOR: '1'}, false));
  t.true(await colored([], {CLICOLOR_FORCE: '1'}, false));
  t.false(await colored([], {NO_COLOR: '1', FORCE_COLOR: '1'}, true));
  t.true(await colored(['--color', 'always'], {NO_COLOR: '1'}, false));
  t.false(await colored(['--no-color'], {FORCE_COLOR: '1'}, true));
});
