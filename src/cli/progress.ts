// How far long work has come, on stderr: at a terminal one line that is drawn over, at most ten times a second, with the
// rate and the time left; elsewhere a plain line every ten seconds. --quiet and --progress none silence it.
import type {Cli} from './context.ts';
import {figure} from './text.ts';

export interface Progress {
  /** What was done until now, such as reading over what is in already, says nothing of how fast the rest goes. */
  begin(): void;
  /** So many more are done. Cheap enough to be called for each row. */
  add(count: number): void;
  /** Takes the line away; to be called on failure too. */
  done(): void;
}

interface ProgressOptions {
  /** What is done, such as `Importing members`; of a rehearsal it is told that it is one. */
  label: string;
  /** How many there are, where that is known; the time left needs it, or the share. */
  total?: number | undefined;
  /** Where how many there are is not known, how much of the input is read, from 0 to 1. */
  share?: () => number | undefined;
  /** Milliseconds, for tests. */
  now?: () => number;
}

const redrawMs = 100;
const plainMs = 10_000;
const silent: Progress = {begin: () => undefined, add: () => undefined, done: () => undefined};

export async function createProgress(cli: Pick<Cli, 'io' | 'globals'>, wanted: ProgressOptions): Promise<Progress> {
  const {io, globals} = cli;
  const options = globals.dryRun ? {...wanted, label: `Rehearsal: ${wanted.label}`} : wanted;
  if (globals.quiet || globals.progress === 'none') return silent;
  const now = options.now ?? (() => performance.now());
  const drawn = io.stderr.isTTY === true && io.env['TERM'] !== 'dumb';
  const {cut} = drawn ? await import('./columns.ts') : {};
  const every = drawn ? redrawMs : plainMs;
  let started = now();
  let shareBefore = options.share?.() ?? 0;
  let count = 0;
  let shown = started;
  let written = false;

  function show(): void {
    const line = lineOf(options, {count, ms: now() - started, shareBefore});
    // A terminal that was given no size says 0.
    io.stderr.write(cut ? `\r${cut(line, (io.stderr.columns || 80) - 1)}\u001B[K` : `${line}\n`);
    written = true;
  }

  if (drawn) show();
  return {
    begin() {
      started = now();
      shareBefore = options.share?.() ?? 0;
    },
    add(more) {
      count += more;
      if (now() - shown < every) return;
      shown = now();
      show();
    },
    done() {
      if (!written) return;
      show();
      if (drawn) io.stderr.write('\n');
      written = false;
    },
  };
}

interface Work {
  count: number;
  ms: number;
  shareBefore: number;
}

/** `Importing members: 40,000 of 100,000 (40 %), 8,000/s, 8 s left` */
function lineOf({label, total, share}: ProgressOptions, {count, ms, shareBefore}: Work): string {
  const done = total === undefined ? share?.() : total === 0 ? 1 : count / total;
  const percent = done === undefined ? '' : ` (${Math.floor(Math.min(1, done) * 100)} %)`;
  const parts = [`${figure(count)}${total === undefined ? '' : ` of ${figure(total)}`}${percent}`];
  if (count > 0 && ms > 0) parts.push(`${figure((count * 1_000) / ms)}/s`);
  // Without a total the last rows may still be at work when all is read.
  if (done === undefined || done >= 1) parts.push(span(ms / 1_000));
  else if (count > 0 && ms > 0 && done > shareBefore)
    parts.push(`${span(((ms / 1_000) * (1 - done)) / (done - shareBefore))} left`);
  return `${label}: ${parts.join(', ')}`;
}

/** `9 s`, `2 min 5 s`, `1 h 10 min` */
function span(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
