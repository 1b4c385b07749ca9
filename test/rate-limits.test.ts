// T31 at the usual figures, which takes as long as three of their windows, against the built server.
import test from 'ava';
import {killServers} from '../scripts/faults/harness.ts';
import {rateLimits} from '../scripts/faults/rate-limits.ts';

test.afterEach.always(killServers);

test('T31: at three times the usual limits what passes is within 5 % of them', async t => {
  const {broken, figures} = await rateLimits({seconds: 30});
  t.log(JSON.stringify(figures));
  t.deepEqual(broken, []);
});
