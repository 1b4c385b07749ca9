// Lists that are longer than what is read at once.
import {Readable, Writable} from 'node:stream';
import test, {type ExecutionContext} from 'ava';
import {printList} from '../../src/cli/actions/lists.ts';
import {createCli} from '../../src/cli/context.ts';
import {createProgram} from '../../src/cli/program.ts';
import type {Stretch} from '../../src/core/pages.ts';
import {fromSource, startProcess, testCli, type TestCli} from '../helpers/cli.ts';
import {databases, type Database} from '../helpers/database.ts';

/** More than are read by two statements. */
const many = 2_100;

const ids = Array.from({length: many}, (_, i) => `u${String(i).padStart(5, '0')}`);

async function withMany(t: ExecutionContext, database: Database): Promise<TestCli> {
  const cli = await testCli(t, database);
  await cli(['room', 'create', 'big']);
  const {code, stderr} = await cli(['member', 'import', 'big', '-'], {stdin: ['user', ...ids, ''].join('\n')});
  t.is(code, 0, stderr);
  return cli;
}

for (const database of databases) {
  test(`${database}: --all lists everything once and in order, in each format`, async t => {
    const cli = await withMany(t, database);
    for (const list of [
      ['member', 'list', 'big'],
      ['user', 'list'],
    ]) {
      t.deepEqual((await cli([...list, '--all', '-o', 'id'])).stdout.trim().split('\n'), ids);
      const limited = await cli([...list, '--limit', String(many - 1), '-o', 'csv']);
      const lines = limited.stdout.trim().split('\n');
      t.is(lines.length, many, 'one line of names, and one each');
      t.is(lines.filter(line => line.includes('username')).length, 1);
      t.regex(limited.stderr, /There is more: /);
      const json = await cli([...list, '--all', '--json']);
      t.is(json.at('next'), null);
      t.is((json.at(`${list[0]}s`) as unknown[]).length, many);
    }
    t.is(
      (await cli(['member', 'list', 'big', '--all', '--search', '0209', '-o', 'id'])).stdout.trim().split('\n').length,
      11,
    );
  });

  test(`${database}: rooms are listed on in each order, also from behind a room that has moved since`, async t => {
    const cli = await testCli(t, database);
    for (const [name, ...members] of [['b', 'x', 'y'], ['a', 'x'], ['B', 'x'], ['c,d'], ['a']])
      await cli([
        'room',
        'create',
        '--key',
        `k${name}${members.length}`,
        ...members.flatMap(user => ['--member', user]),
        '--',
        String(name),
      ]);
    for (const sort of ['bumped', 'name', 'members', 'id']) {
      const whole = (await cli(['room', 'list', '--sort', sort, '-o', 'id'])).stdout;
      let read = '';
      let after: string[] = [];
      do {
        const part = await cli(['room', 'list', '--sort', sort, '--limit', '1', '--json', ...after]);
        t.is(part.code, 0, part.stderr);
        read += `${String(part.at('rooms.0.id'))}\n`;
        after = part.at('next') === null ? [] : ['--after', String(part.at('next'))];
      } while (after.length > 0 && read.length < 100);
      t.is(read, whole, sort);
    }
    const first = await cli(['room', 'list', '--sort', 'name', '--limit', '2', '--json']);
    await cli(['room', 'rename', `id:${String(first.at('rooms.1.id'))}`, 'zzz']);
    const rest = await cli(['room', 'list', '--sort', 'name', '--after', String(first.at('next')), '--fields', 'name']);
    t.is(rest.stdout.split('\n')[0]?.toLowerCase(), 'b');
  });

  for (const sort of ['bumped', 'name', 'members', 'id']) {
    test(`${database}: what is no place among rooms by ${sort} is refused`, async t => {
      const cli = await testCli(t, database);
      for (const after of [
        '',
        'x',
        '0',
        '1,',
        '1,x',
        '1,9999-99-99T00:00:00.000Z',
        '99999999999999999999,1',
        "1,' or 1",
      ]) {
        const {code, stderr} = await cli(['room', 'list', '--sort', sort, '--after', after]);
        // Any text is a place among names.
        const isName = sort === 'name' && /^[1-9]\d{0,14},/.test(after);
        t.is(code, isName ? 0 : 2, `${after}: ${stderr}`);
      }
      // A page number, as it was of old.
      t.is((await cli(['room', 'list', '--sort', sort, '--after', '2'])).code, sort === 'id' ? 0 : 2);
    });
  }

  test(`${database}: a reader who has seen enough ends a list, and is no failure`, async t => {
    const cli = await withMany(t, database);
    for (const format of ['plain', 'csv']) {
      const running = startProcess(t, cli, ['member', 'list', 'big', '--all', '-o', format]);
      await running.line('');
      running.child.stdout?.destroy();
      const {code, stderr} = await running.ended;
      t.is(code, 0);
      t.is(stderr, '');
    }
  });
}

test('a list that is one document tells how far it is', async t => {
  const cli = await withMany(t, 'sqlite');
  const list = ['member', 'list', 'big', '--all', '--json'];
  t.regex((await cli(list, {tty: true})).stderr, /Reading members: 2,100/);
  t.is((await cli([...list, '--progress', 'none'], {tty: true})).stderr, '');
});

/** A command line whose stdout is this. */
async function over(write: (text: string) => Error | undefined, output: string) {
  const stdout = new Writable({
    write: (chunk: Buffer, _, done) => done(write(chunk.toString())),
  });
  stdout.on('error', () => undefined);
  const stderr = new Writable({write: (_chunk, _, done) => done()});
  const io = {
    stdin: Readable.from([]),
    stdout,
    stderr,
    env: {},
    cwd: '/',
    started: fromSource,
    onSignal: () => () => undefined,
  };
  return createCli(io, {output}, {colors: {stdout: false, stderr: false}, createProgram});
}

const listing = {name: 'things', present: (item: object) => item, columns: ['id'], id: 'id', command: ['x'], flags: {}};

for (const format of ['plain', 'ndjson', 'csv', 'id']) {
  test(`as ${format} what was read is printed before more is read`, async t => {
    let printed = '';
    const cli = await over(text => void (printed += text), format);
    async function* found(): AsyncGenerator<Stretch<object>> {
      for (const id of ['first', 'second', 'third']) {
        await Promise.resolve();
        yield {items: [{id}], next: id};
        t.true(printed.includes(id), printed);
      }
      yield {items: [], next: null};
    }
    await printList(cli, listing, found());
    t.regex(printed, /first[^]*second[^]*third/);
  });

  test(`as ${format} no more is read once nobody takes it`, async t => {
    let taken = 0;
    let read = 0;
    const gone = Object.assign(new Error('gone'), {code: 'EPIPE'});
    const cli = await over(() => (taken++ === 0 ? undefined : gone), format);
    async function* endless(): AsyncGenerator<Stretch<object>> {
      for (;;) {
        await Promise.resolve();
        read += 1;
        yield {items: [{id: read}], next: String(read)};
      }
    }
    await printList(cli, listing, endless());
    t.is(read, 2);
  });
}
