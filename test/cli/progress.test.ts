import {PassThrough, Readable} from 'node:stream';
import test from 'ava';
import type {Globals} from '../../src/cli/context.ts';
import {createProgress, type Progress} from '../../src/cli/progress.ts';

interface Watched {
  progress: Progress;
  /** What was written to stderr since the last look. */
  seen: () => string;
  /** Lets time pass. */
  pass: (ms: number) => void;
}

async function watch(
  options: {label: string; total?: number; share?: () => number | undefined},
  {
    tty = true,
    columns = 100,
    globals = {},
    env = {},
  }: {tty?: boolean; columns?: number; globals?: Globals; env?: Record<string, string>} = {},
): Promise<Watched> {
  const stderr: PassThrough & {isTTY?: boolean; columns?: number} = new PassThrough();
  if (tty) Object.assign(stderr, {isTTY: true, columns});
  const io = {
    stdin: Readable.from([]),
    stdout: new PassThrough(),
    stderr,
    env,
    cwd: '/',
    started: {flags: [], script: 'chatctl'},
    onSignal: () => () => undefined,
  };
  let time = 0;
  const progress = await createProgress({io, globals}, {...options, now: () => time});
  return {
    progress,
    seen: () => String((stderr.read() as Buffer | null) ?? ''),
    pass(ms) {
      time += ms;
    },
  };
}

test('at a terminal one line is drawn over, with the rate and the time left', async t => {
  const {progress, seen, pass} = await watch({label: 'Importing', total: 100_000});
  t.is(seen(), '\rImporting: 0 of 100,000 (0 %)\u001B[K');
  pass(4_000);
  progress.add(40_000);
  t.is(seen(), '\rImporting: 40,000 of 100,000 (40 %), 10,000/s, 6 s left\u001B[K');
  pass(6_000);
  progress.add(60_000);
  progress.done();
  t.regex(seen(), /100,000 of 100,000 \(100 %\), 10,000\/s, 10 s\u001B\[K\n$/);
});

test('where the size of the input is known instead, its share tells the time left, of what was done from here on', async t => {
  let share: number | undefined = 0;
  const {progress, seen, pass} = await watch({label: 'Importing', share: () => share});
  t.is(seen(), '\rImporting: 0 (0 %)\u001B[K');
  // What was in before is only read over.
  pass(1_000);
  share = 0.5;
  progress.begin();
  pass(4_000);
  share = 0.75;
  progress.add(40_000);
  t.regex(seen(), /\rImporting: 40,000 \(75 %\), 10,000\/s, 4 s left\u001B\[K$/);
  // All of it is read, and the last of it at work.
  pass(4_000);
  share = 1;
  progress.add(40_000);
  progress.done();
  t.regex(seen(), /\rImporting: 80,000 \(100 %\), 10,000\/s, 8 s\u001B\[K\n$/);

  share = undefined;
  const piped = await watch({label: 'Importing', share: () => share});
  piped.pass(1_000);
  piped.progress.add(5);
  t.regex(piped.seen(), /\rImporting: 5, 5\/s, 1 s\u001B\[K$/);
});

test('at a terminal it is drawn at most ten times a second', async t => {
  const {progress, seen, pass} = await watch({label: 'Importing', total: 1_000});
  for (let i = 0; i < 1_000; i++) {
    pass(1);
    progress.add(1);
  }
  const drawn = seen().split('\r').length - 1;
  t.true(drawn > 5 && drawn <= 11, String(drawn));
});

test('without a terminal a plain line comes each ten seconds, and none of short work', async t => {
  for (const more of [{tty: false}, {env: {TERM: 'dumb'}}]) {
    const {progress, seen, pass} = await watch({label: 'Importing'}, more);
    progress.add(1);
    pass(9_000);
    progress.add(1);
    t.is(seen(), '');
    pass(1_000);
    progress.add(8);
    t.is(seen(), 'Importing: 10, 1/s, 10 s\n');
    pass(100);
    progress.add(90);
    progress.done();
    t.is(seen(), 'Importing: 100, 10/s, 10 s\n');
    const short = await watch({label: 'Importing'}, more);
    short.progress.add(5);
    short.progress.done();
    t.is(short.seen(), '');
  }
});

test('a narrow terminal gets what fits, and wide characters count twice', async t => {
  const {seen} = await watch({label: '会議室会議室', total: 5}, {columns: 10});
  t.is(seen(), '\r会議室会\u001B[K');
});

test('--quiet and --progress none silence it', async t => {
  for (const globals of [{quiet: true}, {progress: 'none' as const}]) {
    const {progress, seen, pass} = await watch({label: 'Importing'}, {globals});
    pass(20_000);
    progress.add(1);
    progress.done();
    t.is(seen(), '');
  }
});
