// npm run faults [-- --large] [--seed 123] [--only kill-server,cut-answer] [--database postgres://…]: prints its seed; the
// same seed plays again. `--postgres` brings a database of its own for those that need one.
import {parseArgs} from 'node:util';
import {startPostgres} from '../postgres.mjs';
import * as faults from './faults.ts';
import {overload, type OverloadOptions} from './overload.ts';
import {rateLimits} from './rate-limits.ts';

const {values} = parseArgs({
  options: {
    large: {type: 'boolean', default: false},
    seed: {type: 'string'},
    only: {type: 'string'},
    database: {type: 'string'},
    postgres: {type: 'boolean', default: false},
  },
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const size = (small: number, large: number) => (values.large ? large : small);

const own = values.postgres ? await startPostgres({durable: true}) : undefined;
if (own && 'skipped' in own) throw new Error(own.skipped);
const database = values.database ?? own?.url;
const base = {seed, ...(database && {databaseUrl: database})};

const flood = (rateLimits: OverloadOptions['rateLimits']) =>
  overload({
    rateLimits,
    seconds: size(8, 60),
    slowSockets: size(50, 500),
    floodCallers: 20,
    floodConnections: rateLimits === 'on' ? 2_000 : size(50, 500),
    ...(database && {databaseUrl: database}),
  });

type Run = () => Promise<{
  broken: string[];
  figures: Record<string, number | string>;
  verdict?: faults.FaultResult['verdict'];
}>;
const runs: Record<string, Run> = {
  'kill-server': () => faults.killServer({...base, times: size(5, 200)}),
  'rolling-restart': () => faults.rollingRestart({...base, times: size(3, 50)}),
  'kill-after-publish': () => faults.killAfterPublish({...base, times: size(4, 200)}),
  'cut-answer': () => faults.cutAnswer({...base, times: size(20, 500)}),
  'broker-outage': () => faults.brokerOutage({...base, times: size(4, 60)}),
  ...(database && {
    'freeze-relay': () => faults.freezeRelay({...base, databaseUrl: database, times: size(1, 50)}),
    // The large one takes five minutes.
    'kill-one-of-two': () =>
      faults.killOneOfTwo({
        ...base,
        databaseUrl: database,
        times: size(3, 30),
        everyMs: size(500, 10_000),
        takeoverLimitMs: 1_000,
      }),
  }),
  'restart-broker': () => faults.restartBroker({...base, times: size(2, 20), clients: size(5, 50)}),
  'rate-limits': () => rateLimits({seconds: size(30, 60), ...(database && {databaseUrl: database})}),
  overload: () => flood('on'),
  'overload-unlimited': () => flood('off'),
  'reconnect-storm': () => faults.reconnectStorm({...base, times: size(2, 20), clients: size(50, 1_000)}),
};

console.log(`seed ${seed}`);
const only = values.only?.split(',');
for (const [name, run] of Object.entries(runs)) {
  if (only && !only.includes(name)) continue;
  const started = performance.now();
  const {verdict, broken, figures} = await run();
  const state = broken.length === 0 ? 'held' : `BROKEN: ${broken.join(', ')}`;
  console.log(
    `${name}: ${state} in ${((performance.now() - started) / 1_000).toFixed(1)} s ${JSON.stringify({...verdict, ...figures})}`,
  );
  if (broken.length > 0) process.exitCode = 1;
}
await own?.stop();
