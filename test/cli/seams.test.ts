// Where commands that were made apart must behave as one.
import test from 'ava';
import {testCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';

for (const database of databases) {
  test(`${database}: messages after one are listed up to the newest, over any number of pages`, async t => {
    const cli = await testCli(t, database);
    await cli(['seed', '--users', '2', '--rooms', '1', '--messages', '230']);
    const after = ['message', 'list', 'general', '--after', '5', '--json'];
    const few = await cli([...after, '--limit', '2']);
    t.is(few.at('messages.0.id'), 7);
    t.is(few.at('next'), '7');
    t.regex(few.stderr, /There is more: chatctl message list id:1 --limit 2 --after 7 --json\n/);
    const all = await cli([...after, '--all']);
    const ids = (all.at('messages') as {id: number}[]).map(each => each.id);
    t.deepEqual(
      ids,
      Array.from({length: 225}, (_, i) => 230 - i),
    );
    t.is(all.at('next'), null);
  });

  test(`${database}: --all beside names is refused, since one of the two was not meant`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    const removed = await cli(['member', 'remove', 'general', 'bob', '--all', '--yes']);
    t.is(removed.code, 2);
    t.regex(removed.stderr, /Either --all or/);
    t.is((await cli(['outbox', 'drop', '1', '--all', '--confirm', 'outbox'])).code, 2);
    t.is((await cli(['outbox', 'retry', '1', '--all', '--yes'])).code, 2);
    t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, 'alice\nbob\n');
  });
}

test('the way back is a line that a shell runs as it is meant, and none is told where nothing was done', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'a $(reboot) `b` it’s "c"']);
  const renamed = await cli(['room', 'rename', 'id:1', "it's d"]);
  t.regex(renamed.stderr, /chatctl room rename id:1 'a \$\(reboot\) `b` it’s "c"'\n/);
  t.regex((await cli(['room', 'archive', "it's d"])).stderr, /chatctl room unarchive 'it'\\''s d'\n/);
  await cli(['user', 'upsert', 'eve', '--username', '$(reboot)']);
  t.notRegex((await cli(['user', 'deactivate', 'eve', '--dry-run'])).stderr, /take it back/);
  t.regex((await cli(['user', 'deactivate', 'eve', '--yes'])).stderr, /--username '\$\(reboot\)'\n/);
});

test('id:alice is alice for the commands that do not look a user up as well, and a name is refused', async t => {
  const cli = await testCli(t, 'sqlite');
  t.is((await cli(['token', 'jwt', 'id:alice', '--json'])).at('claims.sub'), 'alice');
  const subscription = await cli(['token', 'subscription', 'id:alice', '--json']);
  t.is(subscription.at('channel'), 'personal:alice');
  const named = await cli(['token', 'jwt', 'name:Alice']);
  t.is(named.code, 2);
  t.regex(named.stderr, /user list --search Alice/);
  t.is((await cli(['user', 'upsert', 'id:alice', '--json'])).at('user.id'), 'alice');
});

test('help errors tells the exit code that the error ends with', async t => {
  const cli = await testCli(t, 'sqlite');
  await cli(['room', 'create', 'general', '--member', 'alice']);
  await cli(['room', 'archive', 'general']);
  const {code} = await cli(['message', 'post', 'general', 'hello', '--as', 'alice']);
  t.regex((await cli(['help', 'errors', 'room_archived'])).stdout, new RegExp(`exit ${code} `));
});

test('a format flag stands above CHATCTL_OUTPUT in errors too', async t => {
  const cli = await testCli(t, 'sqlite');
  const env = {...cli.env, CHATCTL_OUTPUT: 'json'};
  t.regex((await cli(['room', 'show', 'nope'], {env})).stderr, /^\{"error"/);
  t.regex((await cli(['room', 'show', 'nope', '-o', 'plain'], {env})).stderr, /^Error:/);
  t.regex((await cli(['room', 'show', 'nope', '--output=table'], {env})).stderr, /^Error:/);
  t.regex((await cli(['room', 'show', 'nope', '-ojson'])).stderr, /^\{"error"/);
});

test('production says so before a repair as before any other write', async t => {
  const cli = await testCli(t, 'sqlite');
  const env = {...cli.env, NODE_ENV: 'production'};
  t.regex((await cli(['doctor', '--fix', '--only', 'node'], {env})).stderr, /^PRODUCTION: /);
  t.notRegex((await cli(['doctor', '--fix', '--dry-run', '--only', 'node'], {env})).stderr, /PRODUCTION/);
  t.notRegex((await cli(['doctor', '--only', 'node'], {env})).stderr, /PRODUCTION/);
});

test('a claim that the token has by itself is refused, and not left out in silence', async t => {
  const cli = await testCli(t, 'sqlite');
  for (const claim of ['sub=bob', 'exp=1', 'iat=1']) {
    const {code, stderr} = await cli(['token', 'jwt', 'alice', '--claim', claim]);
    t.is(code, 2, claim);
    t.regex(stderr, /--ttl/);
  }
});
