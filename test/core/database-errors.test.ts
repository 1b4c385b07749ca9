import test from 'ava';
import pg from 'pg';
import {databaseError} from '../../src/core/database-errors.ts';

test('a connection that broke is told as a database that is away, to who waited and to who asks it next', async t => {
  const unconnected = () => new pg.Client({host: '127.0.0.1', port: 1});
  const refused = await t.throwsAsync(unconnected().connect());
  t.is(databaseError(refused)?.code, 'database_unavailable');
  const closed = unconnected();
  await closed.end();
  const asked = await t.throwsAsync(closed.query('select 1'));
  t.is(databaseError(asked)?.code, 'database_unavailable', asked.message);
  t.is(databaseError(new Error('something else')), undefined);
});
