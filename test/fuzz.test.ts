// Some hundreds of the requests of npm run fuzz, over the whole OpenAPI document. The seed is printed.
import test from 'ava';
import {fuzz} from '../scripts/fuzz/fuzz.ts';
import {apiToken, serviceToken} from './helpers/chat.ts';
import {databases} from './helpers/database.ts';
import {startApi} from './helpers/http.ts';

const tokens = {service: serviceToken(), admin: apiToken('ann'), member: apiToken('mia'), stranger: apiToken('sam')};

for (const database of databases) {
  test(`${database}: random and mutated requests get what the document promises, and never a 5xx`, async t => {
    const seed = Date.now() % 1_000_000;
    const api = await startApi(t, database, {env: {ROOM_CREATION: 'users'}});
    const {faults, ...figures} = await fuzz({url: api.url, seed, runs: 640, tokens});
    t.log(`seed ${seed}: ${JSON.stringify(figures)}`);
    t.deepEqual(faults, []);
    t.true(figures.succeeded > figures.operations / 2, 'enough of them get far');
    t.false('polluted' in {});
  });
}
