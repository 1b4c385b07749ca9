// T31 at the usual figures, which takes as long as three of their windows, against the built server.
import test from 'ava';
import {killServers} from '../scripts/faults/harness.ts';
import {rateLimits} from '../scripts/faults/rate-limits.ts';
import {databases, emptyDatabase} from './helpers/database.ts';

test.after.always(killServers);

for (const database of databases) {
  test(`${database}: T31: at three times the usual limits what passes is within 5 % of them`, async t => {
    const {broken, figures} = await rateLimits({seconds: 30, databaseUrl: await emptyDatabase(t, database)});
    t.log(JSON.stringify(figures));
    t.deepEqual(broken, []);
  });
}
