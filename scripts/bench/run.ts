// npm run bench [-- <part of a name>…]: prints figures and writes them to bench.json
import {writeFileSync} from 'node:fs';
import {deliveryBenches, type Figures} from './delivery.ts';

const wanted = process.argv.slice(2);
const figures: Record<string, Figures> = {};
for (const [name, bench] of Object.entries(deliveryBenches)) {
  if (wanted.length > 0 && !wanted.some(each => name.includes(each))) continue;
  const values = await bench();
  figures[name] = values;
  console.log(`\n${name}`);
  for (const [figure, value] of Object.entries(values)) console.log(`  ${figure.padEnd(30)} ${value}`);
}
writeFileSync('bench.json', `${JSON.stringify(figures, null, 2)}\n`);
