// Figures of a run, what they stand beside, and what got worse since another run.

/** By name with its unit last: `posts/s`, `p50 ms`. */
export type Figures = Record<string, number | string>;
/** By what was measured. */
export type Results = Record<string, Figures>;

export interface Ratio {
  what: string;
  value: number;
  /** What is wanted of it, or undefined where it only tells. */
  wanted: string | undefined;
  reached: boolean | undefined;
}

type Place = readonly [result: string, figure: string];

interface Beside {
  what: string;
  of: Place;
  /** A limit of the same run; without one the figure stands for itself. */
  by?: Place;
  atLeast?: number;
  atMost?: number;
}

const koa: Place = ['bare Koa', 'requests/s'];
const postgresAlone: Place = ['PostgreSQL alone', 'posts/s'];
const sqliteAlone: Place = ['SQLite alone', 'posts/s'];
const accepted = (of: string): Place => [`posts, ${of}`, 'posts/s'];

const besides: readonly Beside[] = [
  {what: 'posts on PostgreSQL / bare Koa', of: accepted('PostgreSQL'), by: koa, atLeast: 0.6},
  {what: 'posts on PostgreSQL / PostgreSQL alone', of: accepted('PostgreSQL'), by: postgresAlone, atLeast: 0.7},
  {what: 'posts on SQLite / bare Koa', of: accepted('SQLite'), by: koa, atLeast: 0.5},
  {what: 'posts on SQLite / SQLite alone', of: accepted('SQLite'), by: sqliteAlone},
  {what: 'the same with delivery, PostgreSQL / bare Koa', of: accepted('PostgreSQL, delivered'), by: koa},
  {what: 'the same with delivery, SQLite / bare Koa', of: accepted('SQLite, delivered'), by: koa},
  {
    what: 'two processes / one, PostgreSQL',
    of: accepted('PostgreSQL, two processes'),
    by: accepted('PostgreSQL, one process'),
  },
  ...['SQLite', 'PostgreSQL'].flatMap((database): Beside[] => [
    {
      what: `post in the largest room / in one of 2, ${database}`,
      of: [`rooms, ${database}`, 'post in the largest p50 ms'],
      by: [`rooms, ${database}`, 'post in the smallest p50 ms'],
      atMost: 1.3,
    },
    {what: `rooms of the user, ${database}`, of: [`lists, ${database}`, 'rooms requests/s'], atLeast: 1_000},
    {what: `rooms of the user / bare Koa, ${database}`, of: [`lists, ${database}`, 'rooms requests/s'], by: koa},
    {
      what: `a page deep down / near the newest, ${database}`,
      of: [`lists, ${database}`, 'deep page p50 ms'],
      by: [`lists, ${database}`, 'near page p50 ms'],
      atMost: 1.1,
    },
    {
      what: `posts sustained with delivery, ${database}`,
      of: [`sustained, ${database}`, 'posts/s'],
      atLeast: 2_000 * 0.99,
    },
    {what: `outbox lag meanwhile in s, ${database}`, of: [`sustained, ${database}`, 'lag at most s'], atMost: 1},
    {what: `resident MB at idle, ${database}`, of: [`memory, ${database}`, 'idle MB'], atMost: 150},
    {
      what: `resident MB, last fifth / first fifth, ${database}`,
      of: [`memory, ${database}`, 'last fifth MB'],
      by: [`memory, ${database}`, 'first fifth MB'],
      atMost: 1.1,
    },
  ]),
];

/** Those of which both sides were measured. */
export function ratiosOf(results: Results): Ratio[] {
  return [...besides, ...fanOuts(results)].flatMap(each => {
    const [of, by] = [numberAt(results, each.of), each.by === undefined ? 1 : numberAt(results, each.by)];
    return of === undefined || by === undefined ? [] : [ratio(each, of / by)];
  });
}

/** One for each size that was measured; the wish is for the largest that the project speaks of. */
function fanOuts(results: Results): Beside[] {
  return Object.entries(results)
    .filter(([name]) => name.startsWith('fan-out to '))
    .map(([name]) => ({
      what: `${name} / the broker alone`,
      of: [name, 'delivered ms'],
      by: [name, 'broker alone ms'],
      ...(name.startsWith('fan-out to 100000') && {atMost: 1.3}),
    }));
}

function ratio({what, atLeast, atMost}: Beside, value: number): Ratio {
  if (atLeast !== undefined) return {what, value, wanted: `at least ${atLeast}`, reached: value >= atLeast};
  if (atMost !== undefined) return {what, value, wanted: `at most ${atMost}`, reached: value <= atMost};
  return {what, value, wanted: undefined, reached: undefined};
}

function numberAt(results: Results, [result, figure]: Place): number | undefined {
  const value = results[result]?.[figure];
  return typeof value === 'number' ? value : undefined;
}

export function table(ratios: readonly Ratio[]): string {
  const lines = ratios.map(({what, value, wanted, reached}) => {
    const verdict = reached === undefined ? '' : reached ? 'reached' : 'NOT REACHED';
    return [what, shown(value), wanted ?? '', verdict];
  });
  const all = [['beside its limit', 'figure', 'wanted', ''], ...lines];
  const widths = [0, 1, 2, 3].map(column => Math.max(...all.map(line => line[column]?.length ?? 0)));
  return all
    .map(line => line.map((text, i) => (i === 1 ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0))))
    .map(line => line.join('  ').trimEnd())
    .join('\n');
}

function shown(value: number): string {
  return value >= 100 ? String(Math.round(value)) : value.toFixed(2);
}

export interface Run {
  machine: string;
  sizes: Record<string, unknown>;
  results: Results;
  ratios: Ratio[];
}

/** What got worse by more than the tolerance (0.1 is a tenth), ratios first: they mean the same on another machine. */
export function worse(before: Run, now: Run, tolerance: number): string[] {
  const ratios = now.ratios.flatMap(({what, value, wanted}) => {
    const old = before.ratios.find(each => each.what === what)?.value;
    return change(what, old, value, wanted?.startsWith('at most') ? 'less' : 'more', tolerance);
  });
  const figures = Object.entries(now.results).flatMap(([result, values]) =>
    Object.entries(values).flatMap(([figure, value]) => {
      const old = before.results[result]?.[figure];
      if (typeof old !== 'number' || typeof value !== 'number') return [];
      return change(`${result}: ${figure}`, old, value, figure.endsWith('/s') ? 'more' : 'less', tolerance);
    }),
  );
  return [...ratios, ...figures];
}

function change(
  what: string,
  old: number | undefined,
  value: number,
  better: 'more' | 'less',
  tolerance: number,
): string[] {
  if (old === undefined) return [];
  const isWorse = better === 'more' ? value < old * (1 - tolerance) : value > old * (1 + tolerance);
  return isWorse ? [`${what}: ${shown(old)} before, ${shown(value)} now`] : [];
}

export function round(value: number): number {
  return Math.round(value * 100) / 100;
}
