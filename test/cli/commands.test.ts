import test from 'ava';
import {databases} from '../helpers/database.ts';
import {migrations} from '../../src/db/migrations.ts';
import {testCli} from '../helpers/cli.ts';

for (const database of databases) {
  test(`${database}: a room is created, listed, shown, renamed, archived and deleted`, async t => {
    const cli = await testCli(t, database);
    const created = await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob', '--json']);
    t.is(created.code, 0, created.stderr);
    t.is(created.at('room.name'), 'general');
    t.is(created.at('created'), true);
    t.is(created.at('event.type'), 'members_changed');
    t.is(created.at('event.channels'), 2);
    t.is(created.at('event.mode'), 'outbox');
    const id = String(created.at('room.id'));

    const listed = await cli(['room', 'list', '--json']);
    t.is(listed.at('rooms.0.member_count'), 2);
    t.is(listed.at('next'), null);
    for (const reference of [id, `id:${id}`, 'general', 'name:general']) {
      t.is((await cli(['room', 'show', reference, '-o', 'id'])).stdout, `${id}\n`, reference);
    }
    const renamed = await cli(['room', 'rename', 'general', 'lobby', '--json']);
    t.is(renamed.at('room.name'), 'lobby');
    t.is(renamed.at('event.type'), 'room_updated');
    t.regex(renamed.stderr, /To take it back/);
    t.regex((await cli(['room', 'archive', 'lobby'])).stderr, /To take it back: .*room unarchive lobby/);
    t.notRegex((await cli(['room', 'archive', 'lobby'])).stderr, /To take it back/);
    await cli(['room', 'unarchive', 'lobby']);

    t.is((await cli(['room', 'archive', 'lobby', '--json'])).at('results.0.ok'), true);
    const refused = await cli(['message', 'post', 'lobby', 'hi', '--json']);
    t.is(refused.code, 4);
    t.is(refused.at('error.code'), 'room_archived');
    t.is((await cli(['room', 'unarchive', 'lobby'])).code, 0);

    const unconfirmed = await cli(['room', 'delete', 'lobby', '--yes', '--json']);
    t.is(unconfirmed.code, 2);
    t.is((await cli(['room', 'delete', 'lobby'])).code, 2);
    t.is((await cli(['room', 'delete', 'lobby', '--confirm', 'other'])).code, 2);
    const deleted = await cli(['room', 'delete', 'lobby', '--confirm', 'lobby', '--json']);
    t.is(deleted.at('deleted.members'), 2);
    t.is((await cli(['room', 'show', 'lobby'])).code, 3);
  });

  test(`${database}: members are added, told of, listed and removed`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general']);
    const unknown = await cli(['member', 'add', 'general', 'alice', '--existing-users', '--json']);
    t.is(unknown.code, 3);
    t.is(unknown.at('error.code'), 'user_not_found');

    const added = await cli(['member', 'add', 'general', 'alice', '--json']);
    t.is(added.at('results.0.event.type'), 'user_joined');
    t.is(added.at('results.0.event.channels'), 1);
    t.regex(added.stderr, /The user alice is new here/);
    const twice = await cli(['member', 'add', 'general', 'alice', '--json']);
    t.is(twice.code, 4);
    t.is(twice.at('error.code'), 'already_member');
    t.is((await cli(['member', 'add', 'general', 'alice', '--if-not-member'])).code, 0);

    const some = await cli(['member', 'add', 'general', 'alice', 'bob', '--json']);
    t.is(some.code, 7);
    const ids = await cli(['member', 'add', 'general', 'alice', 'erin', '-o', 'id']);
    t.is(ids.stdout, 'erin\n');
    await cli(['member', 'remove', 'general', 'erin']);
    t.is(some.at('results.0.ok'), false);
    t.is(some.at('results.0.error.code'), 'already_member');
    t.is(some.at('results.1.ok'), true);
    const piped = await cli(['member', 'add', 'general', '--stdin', '-o', 'id'], {stdin: 'carol\ndave\n'});
    t.is(piped.stdout, 'carol\ndave\n');

    t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, 'alice\nbob\ncarol\ndave\n');
    const removed = await cli(['member', 'remove', 'general', 'bob', '--json']);
    t.is(removed.at('results.0.event.type'), 'user_left');
    t.is(removed.at('results.0.event.channels'), 4);
    t.is((await cli(['member', 'remove', 'general', 'bob'])).code, 3);
    t.is((await cli(['member', 'remove', 'general', '--all'])).code, 2);
    const all = await cli(['member', 'remove', 'general', '--all', '--yes', '--json']);
    t.is(all.at('removed'), 3);
  });

  test(`${database}: messages are posted, listed, shown and deleted`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    const stranger = await cli(['message', 'post', 'general', 'hi', '--as', 'bob', '--json']);
    t.is(stranger.code, 4);
    t.is(stranger.at('error.code'), 'not_a_member');
    t.is((await cli(['message', 'post', 'general', '   '])).code, 2);
    t.is((await cli(['message', 'post', 'general'])).code, 2);
    // C9
    t.is((await cli(['message', 'post', 'general', '-'], {stdin: 'x'.repeat(70_000)})).code, 2);
    for (const [stdin, says] of [
      ['', /standard input is empty/],
      [' \n', /standard input is empty/],
      ['a\u0000b', /holds a NUL/],
      [Buffer.from([0xff, 0xfe, 0xfd]), /not text in UTF-8/],
    ] as const) {
      const refused = await cli(['message', 'post', 'general', '-'], {stdin});
      t.is(refused.code, 2);
      t.regex(refused.stderr, says);
    }

    const posted = await cli(['message', 'post', 'general', 'hi', '--as', 'alice', '--json']);
    t.is(posted.at('message.user.id'), 'alice');
    t.is(posted.at('message.seq'), 1);
    t.is(posted.at('event.type'), 'message_added');
    // PostgreSQL draws an id for the refused post too, so that ids have gaps there.
    const id = String(posted.at('message.id'));
    const piped = (await cli(['message', 'post', 'general', '-', '-o', 'id'], {stdin: 'from a pipe\n'})).stdout.trim();
    t.true(Number(piped) > Number(id));
    const key = ['message', 'post', 'general', 'once', '--idempotency-key', 'k1', '--json'];
    const first = await cli(key);
    const again = await cli(key);
    t.is(again.at('message.id'), first.at('message.id'));
    t.is(again.at('event.mode'), 'none');

    const listed = await cli(['message', 'list', 'general', '--fields', 'content']);
    t.is(listed.stdout, 'once\nfrom a pipe\nhi\n');
    t.is((await cli(['message', 'list', 'general', '--from', 'alice', '-o', 'id'])).stdout, `${id}\n`);
    t.is((await cli(['message', 'list', 'general', '--before', piped, '-o', 'id'])).stdout, `${id}\n`);
    t.is((await cli(['message', 'show', '99'])).code, 3);
    t.is((await cli(['message', 'show', id, '--json'])).at('message.content'), 'hi');

    const lines = ['message', 'post', 'general', '--lines', '--json'];
    t.is((await cli([...lines, '--idempotency-key', 'k'], {stdin: 'a'})).code, 2);
    const many = await cli(lines, {stdin: `one\n\ntwo\n${'x'.repeat(10_001)}\n`});
    t.is(many.code, 7);
    t.is(many.at('results.1.line'), 3);
    t.is(many.at('results.1.message.content'), 'two');
    t.is(many.at('results.2.error.code'), 'too_long');

    t.is((await cli(['message', 'delete', id, piped])).code, 2);
    const deleted = await cli(['message', 'delete', id, '99', '--yes', '--json']);
    t.is(deleted.code, 7);
    t.is(deleted.at('results.0.event.type'), 'message_deleted');
    t.is((await cli(['message', 'show', id, '--json'])).at('message.content'), '');
  });

  test(`${database}: a room shown with its members says when there are more`, async t => {
    const cli = await testCli(t, database);
    const many = Array.from({length: 101}, (_, i) => `many${i}`);
    await cli(['room', 'create', 'large', ...many.flatMap(user => ['--member', user])]);
    const large = await cli(['room', 'show', 'large', '--members', '--json']);
    t.is(large.at('members.99.user.id'), 'many98');
    t.is(large.at('next'), 'many98');
    const [, rest = ''] = /There are more: \S*chatctl (.*)\n/.exec(large.stderr) ?? [];
    t.is((await cli([...rest.split(' '), '-o', 'id'])).stdout, 'many99\n');
  });

  test(`${database}: users are made, shown with their rooms and deactivated`, async t => {
    const cli = await testCli(t, database);
    t.is((await cli(['user', 'show', 'alice'])).code, 3);
    t.is((await cli(['user', 'upsert', 'a#b'])).code, 2);
    t.is((await cli(['user', 'upsert', 'alice', '--username', 'Alice', '--json'])).at('user.username'), 'Alice');
    await cli(['room', 'create', 'general', '--member', 'alice']);
    t.is((await cli(['user', 'show', 'alice', '--rooms', '--json'])).at('rooms.0.name'), 'general');
    t.is((await cli(['user', 'list', '-o', 'id'])).stdout, 'alice\n');
    t.is((await cli(['user', 'deactivate', 'alice'])).code, 2);
    t.is((await cli(['user', 'deactivate', 'alice', '--yes'])).code, 0);
  });

  test(`${database}: a user is named by id, by name, or with a prefix where both fit`, async t => {
    const cli = await testCli(t, database);
    await cli(['user', 'upsert', '42', '--username', 'Alice Liddell']);
    await cli(['user', 'upsert', '43', '--username', '42']);
    await cli(['room', 'create', 'general', '--member', 'Alice Liddell']);
    t.is((await cli(['member', 'list', 'general', '-o', 'id'])).stdout, '42\n');
    t.is((await cli(['user', 'show', '42', '-o', 'id'])).stdout, '42\n');
    t.is((await cli(['user', 'show', 'name:42', '-o', 'id'])).stdout, '43\n');
    t.is((await cli(['user', 'show', 'name:nobody'])).code, 3);
    const posted = await cli(['message', 'post', 'general', 'hi', '--as', 'Alice Liddell', '--json']);
    t.is(posted.at('message.user.id'), '42');
    await cli(['user', 'upsert', '44', '--username', '42']);
    const twins = await cli(['user', 'show', 'name:42']);
    t.is(twins.code, 4);
    t.regex(twins.stderr, /id:43, id:44/);
  });

  test(`${database}: a user is found by name among any number whose names hold it`, async t => {
    const cli = await testCli(t, database);
    const others = Array.from({length: 120}, (_, i) => `al-${i}`);
    t.is((await cli(['room', 'create', 'many', ...others.flatMap(id => ['--member', id])])).code, 0);
    await cli(['user', 'upsert', 'zz', '--username', 'al']);
    t.is((await cli(['user', 'show', 'name:al', '-o', 'id'])).stdout, 'zz\n');
    t.is((await cli(['user', 'show', 'al', '-o', 'id'])).stdout, 'zz\n');
  });

  test(`${database}: migrations go up and down, and their state is told`, async t => {
    const cli = await testCli(t, database);
    const again = await cli(['migrate', 'up', '--json']);
    t.is(again.stdout, '{"applied":[],"pending":0}\n');
    t.is((await cli(['migrate', 'status', '--check'])).code, 0);
    const refused = await cli(['migrate', 'down', '--json']);
    t.is(refused.code, 2);
    t.is(refused.at('error.code'), 'confirmation_required');
    const name = String(refused.at('error.hint')).replace('Answer with --confirm ', '');
    t.is((await cli(['migrate', 'down', '--confirm', name, '--json'])).code, 0);
    const status = await cli(['migrate', 'status', '--check', '--json']);
    t.is(status.code, 8);
    const [newest = '', before = ''] = migrations.map(each => each.name).toReversed();
    t.deepEqual(status.at('pending'), [newest]);
    const rehearsed = await cli(['migrate', 'up', '--dry-run', '--json']);
    t.deepEqual(rehearsed.at('applied'), [newest]);
    t.is((await cli(['migrate', 'status', '--check'])).code, 8);
    t.is((await cli(['migrate', 'down', '--dry-run'])).stdout, `${before}\n`);
    for (const to of ['1', '001', '0001', '0001-rooms']) {
      const reverted = (await cli(['migrate', 'down', '--to', to, '--dry-run', '--json'])).at('reverted');
      t.deepEqual(
        reverted,
        migrations
          .slice(1, -1)
          .map(each => each.name)
          .toReversed(),
        to,
      );
    }
    for (const to of ['0', '1-', '99']) t.is((await cli(['migrate', 'down', '--to', to, '--dry-run'])).code, 2, to);
    const pending = await cli(['room', 'list', '--json']);
    t.is(pending.code, 4);
    t.is(pending.at('error.code'), 'migrations_pending');
    t.is((await cli(['migrate', 'unlock'])).code, 2);
    t.is((await cli(['migrate', 'unlock', '--yes', '--json'])).at('unlocked'), true);
  });
}
