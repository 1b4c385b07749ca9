import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {testCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';

const inserted = (count: number) => ({inserted: count, updated: 0, deleted: 0});

for (const database of databases) {
  test(`${database}: a rehearsed seed or import tells the rows and the events that there would be`, async t => {
    const from = await testCli(t, database);
    const seed = ['seed', '--users', '8', '--rooms', '2', '--messages', '6', '--json'];
    const seeded = await from([...seed, '--dry-run']);
    t.is(seeded.code, 0, seeded.stderr);
    const rows = {users: inserted(8), rooms: inserted(2), members: inserted(16), messages: inserted(6)};
    const expected = {...rows, outbox: inserted(2)};
    t.deepEqual(seeded.at('dry_run.rows'), expected);
    t.is(seeded.at('dry_run.events.1.type'), 'members_changed');
    t.is(seeded.at('dry_run.events.1.channels'), 8);
    t.is((await from(['room', 'list'])).stdout, '');

    await from(seed);
    await from(['export', 'backup.ndjson']);
    const to = await testCli(t, database);
    const file = join(from.cwd, 'backup.ndjson');
    const planned = await to(['import', file, '--dry-run', '--json']);
    t.deepEqual(planned.at('dry_run.rows'), expected);
    t.is(planned.at('events'), 2);
    t.is((await to(['import', file, '--yes', '--json'])).at('events'), 2);
    const again = await to(['import', file, '--mode', 'upsert', '--dry-run', '--json']);
    t.deepEqual(again.at('dry_run.rows.messages'), {inserted: 0, updated: 6, deleted: 0});
    t.is(again.at('dry_run.events.0.type'), 'room_updated');
  });

  test(`${database}: a rehearsed import of members tells how many users and members there would be`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice']);
    await cli(['user', 'upsert', 'bob']);
    writeFileSync(join(cli.cwd, 'people.csv'), 'user\nalice\nbob\ncarol\ncarol\n');
    const {at} = await cli(['member', 'import', 'general', 'people.csv', '--dry-run', '--json']);
    t.deepEqual(at('dry_run.rows'), {members: inserted(2), users: inserted(1), outbox: inserted(1)});
    const each = await cli(['member', 'import', 'general', 'people.csv', '--event', 'each', '--dry-run', '--json']);
    const events = each.at('dry_run.events') as {type: string; channels: number}[];
    t.deepEqual(
      events.map(({type, channels}) => [type, channels]),
      [
        ['user_joined', 2],
        ['user_joined', 3],
      ],
    );
    t.deepEqual(each.at('dry_run.rows.outbox'), inserted(2));
  });

  test(`${database}: a rehearsed erasure tells its events, and says once that nothing was changed`, async t => {
    const cli = await testCli(t, database);
    await cli(['room', 'create', 'general', '--member', 'alice', '--member', 'bob']);
    await cli(['message', 'post', 'general', 'hello', '--as', 'alice']);
    const {at, stderr} = await cli(['user', 'erase', 'alice', '--messages', 'delete', '--dry-run', '--json']);
    const types = (at('dry_run.events') as {type: string}[]).map(each => each.type);
    t.deepEqual(types.toSorted(), ['message_deleted', 'user_left']);
    t.is(stderr.match(/nothing was changed/gi)?.length, 1, stderr);
  });
}
