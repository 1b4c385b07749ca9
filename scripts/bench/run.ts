// npm run bench [-- <part of a name>…] [--only posts,lists] [--small] [--compare bench.json] [--out bench.json] and sizes,
// such as --seconds 30 --members 10000: measures all of it in one run, beside the limits that the same machine sets.
import {readFileSync, writeFileSync} from 'node:fs';
import {availableParallelism, cpus} from 'node:os';
import {parseArgs} from 'node:util';
import {openDatabases, type Databases} from './databases.ts';
import {deliveryBenches} from './delivery.ts';
import {ratiosOf, table, worse, type Results, type Run} from './figures.ts';
import {lists} from './lists.ts';
import {posts} from './posts.ts';
import {rooms} from './rooms.ts';
import {defaultSizes, smallSizes, type Sizes} from './sizes.ts';
import {memory, sustained} from './sustained.ts';

const benches: Record<string, (databases: Databases, sizes: Sizes) => Promise<Results>> = {
  posts,
  lists,
  rooms,
  sustained,
  memory,
  ...deliveryBenches,
};

const text = {type: 'string'} as const;
const sizeFlags = Object.fromEntries(Object.keys(defaultSizes).map(name => [name, text])) as Record<
  keyof Sizes,
  typeof text
>;
const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    ...sizeFlags,
    only: text,
    compare: text,
    tolerance: {...text, default: '0.1'},
    out: {...text, default: 'bench.json'},
    small: {type: 'boolean', default: false},
  },
});

const before = values.compare === undefined ? undefined : (JSON.parse(readFileSync(values.compare, 'utf8')) as Run);
const sizes = sizesOf(values.small ? smallSizes : defaultSizes, values);
const databases = await openDatabases();
const model = cpus()[0]?.model ?? '';
const machine = `${availableParallelism()} × ${model}, Node ${process.version}, ${databases.told}`;
console.log(machine);
const run: Run = {machine, sizes, results: {}, ratios: []};
try {
  for (const [name, bench] of Object.entries(benches)) if (isWanted(name)) show(await bench(databases, sizes));
} finally {
  await databases.close();
}
run.ratios = ratiosOf(run.results);
console.log(`\n${table(run.ratios)}`);
writeFileSync(values.out, `${JSON.stringify(run, null, 2)}\n`);
if (before) compare(before);

function sizesOf(base: Sizes, flags: Record<string, unknown>): Sizes {
  const given = Object.keys(base).filter(name => flags[name] !== undefined);
  const numbers = given.map(name => [name, Number(flags[name])] as const);
  const wrong = numbers.find(([, value]) => !(value > 0));
  if (wrong) throw new Error(`--${wrong[0]} must be a number above 0`);
  return {...base, ...Object.fromEntries(numbers)};
}

function isWanted(name: string): boolean {
  if (values.only !== undefined) return values.only.split(',').includes(name);
  return positionals.length === 0 || positionals.some(each => name.includes(each));
}

function show(results: Results): void {
  for (const [name, figures] of Object.entries(results)) {
    console.log(`\n${name}`);
    for (const [figure, value] of Object.entries(figures)) console.log(`  ${figure.padEnd(30)} ${value}`);
  }
  Object.assign(run.results, results);
}

/** Ends with 1 when something got worse, so that a script can tell. */
function compare(old: Run): void {
  const found = worse(old, run, Number(values.tolerance));
  if (old.machine !== run.machine) console.log(`\nThe other run was on: ${old.machine}`);
  console.log(found.length === 0 ? '\nNothing got worse.' : `\nWorse than before:\n  ${found.join('\n  ')}`);
  if (found.length > 0) process.exitCode = 1;
}
