// npm run bench [-- delivery]: prints figures and writes them to bench.json
import {writeFileSync} from 'node:fs';
import {deliveryBench} from './delivery.ts';

const figures = await deliveryBench();
for (const [name, values] of Object.entries(figures)) {
  console.log(`\n${name}`);
  for (const [figure, value] of Object.entries(values)) console.log(`  ${figure.padEnd(30)} ${value}`);
}
writeFileSync('bench.json', `${JSON.stringify(figures, null, 2)}\n`);
