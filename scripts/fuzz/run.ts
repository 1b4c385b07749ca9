// npm run fuzz [-- --runs 10000] [--seed 123] [--database postgres://…]: prints its seed; the same seed sends the same again.
import {parseArgs} from 'node:util';
import {temporaryFolder} from '../bench/setup.ts';
import {serviceToken, startServerProcess, userToken} from '../faults/harness.ts';
import {fuzz} from './fuzz.ts';

const {values} = parseArgs({
  options: {runs: {type: 'string', default: '10000'}, seed: {type: 'string'}, database: {type: 'string'}},
});
const seed = Number(values.seed ?? Date.now() % 1_000_000);
const folder = temporaryFolder();
const server = await startServerProcess({
  DATABASE_URL: values.database ?? `sqlite:${folder.path}/chat.db`,
  ROOM_CREATION: 'users',
});
const tokens = {service: serviceToken(), admin: userToken('ann'), member: userToken('mia'), stranger: userToken('sam')};
console.log(`seed ${seed}`);
const started = performance.now();
const {faults, ...figures} = await fuzz({url: server.apiUrl, seed, runs: Number(values.runs), tokens});
console.log(JSON.stringify({seconds: Math.round((performance.now() - started) / 1_000), ...figures}));
for (const fault of faults) console.log(`FAULT ${fault}`);
if (faults.length > 0) process.exitCode = 1;
await server.end('SIGTERM');
folder.remove();
