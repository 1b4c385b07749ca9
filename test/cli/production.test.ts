import test from 'ava';
import {seededCli} from '../helpers/seeded.ts';

const env = {NODE_ENV: 'production'};

test('a write to production says so on stderr, and a look or a rehearsal does not', async t => {
  const cli = await seededCli(t);
  const write = await cli(['room', 'create', 'one', '-o', 'id'], {env});
  t.is(write.stdout, '2\n');
  t.regex(write.stderr, /^PRODUCTION: this writes to sqlite .*chat\.db\n/);
  t.notRegex((await cli(['room', 'create', 'two', '--dry-run'], {env})).stderr, /PRODUCTION/);
  t.notRegex((await cli(['room', 'list'], {env})).stderr, /PRODUCTION/);
  t.notRegex((await cli(['room', 'create', 'three'])).stderr, /PRODUCTION/);
});

test('a severe change without a terminal is refused with what it would be done to', async t => {
  const cli = await seededCli(t);
  const {code, stderr} = await cli(['room', 'delete', 'general']);
  t.is(code, 2);
  t.regex(stderr, /The target: sqlite .*: 1 room, 2 users, 2 memberships, 1 message\.\nAnswer with --confirm general/);
});
