// How far long work has come, on stderr: at a terminal one line that is drawn over, at most ten times a second, with the
// rate and the time left; elsewhere a plain line every ten seconds. --quiet and --progress none silence it.
import type {Cli} from './context.ts';
import {figure} from './text.ts';

export interface Progress {
  /** So many more are done. Cheap enough to be called for each row. */
  add(count: number): void;
  /** Takes the line away; to be called on failure too. */
  done(): void;
}

interface ProgressOptions {
  /** What is done, such as `Importing members`. */
  label: string;
  /** How many there are, where that is known; the time left needs it. */
  total?: number | undefined;
  /** Milliseconds, for tests. */
  now?: () => number;
}

const redrawMs = 100;
const plainMs = 10_000;
const silent: Progress = {add: () => undefined, done: () => undefined};

export async function createProgress(cli: Pick<Cli, 'io' | 'globals'>, options: ProgressOptions): Promise<Progress> {
  const {io, globals} = cli;
  if (globals.quiet || globals.progress === 'none') return silent;
  const now = options.now ?? (() => performance.now());
  const drawn = io.stderr.isTTY === true && io.env['TERM'] !== 'dumb';
  const {cut} = drawn ? await import('./columns.ts') : {};
  const every = drawn ? redrawMs : plainMs;
  const started = now();
  let count = 0;
  let shown = started;
  let written = false;

  function show(): void {
    const line = lineOf(options, count, now() - started);
    // A terminal that was given no size says 0.
    io.stderr.write(cut ? `\r${cut(line, (io.stderr.columns || 80) - 1)}\u001B[K` : `${line}\n`);
    written = true;
  }

  if (drawn) show();
  return {
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

/** `Importing members: 40,000 of 100,000 (40 %), 8,000/s, 8 s left` */
function lineOf({label, total}: ProgressOptions, count: number, ms: number): string {
  const perSecond = ms > 0 ? (count * 1_000) / ms : 0;
  const parts = [
    total === undefined ? figure(count) : `${figure(count)} of ${figure(total)} (${share(count, total)} %)`,
  ];
  if (count > 0 && ms > 0) parts.push(`${figure(perSecond)}/s`);
  if (total !== undefined && count < total && perSecond > 0) parts.push(`${span((total - count) / perSecond)} left`);
  if (count === total || total === undefined) parts.push(span(ms / 1_000));
  return `${label}: ${parts.join(', ')}`;
}

function share(count: number, total: number): number {
  return total === 0 ? 100 : Math.min(100, Math.floor((count * 100) / total));
}

/** `9 s`, `2 min 5 s`, `1 h 10 min` */
function span(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
}
