import test from 'ava';
import {rows, table, among} from '../../src/db/rows.ts';
import {inTransaction} from '../../src/db/transaction.ts';
import {openTestChat} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';

const insert = "insert into users (id, username, created_at) values (?, ?, '2026-01-01T00:00:00.000Z')";

for (const database of databases) {
  test(`${database}: what fails among the last writes takes everything with it`, async t => {
    const {db} = await openTestChat(t, database);
    let told = false;
    await t.throwsAsync(
      inTransaction(db, async tx => {
        tx.afterCommit(() => {
          told = true;
        });
        await rows(tx, insert, ['alice', 'Alice']);
        tx.last(rows(tx, insert, ['bob', 'Bob']));
        tx.last(rows(tx, insert, ['alice', 'again']));
      }),
    );
    t.false(told);
    t.deepEqual(await rows(db, 'select id from users'), []);
    await inTransaction(db, tx => rows(tx, insert, ['carol', 'Carol']));
    t.deepEqual(await rows(db, 'select id from users'), [{id: 'carol'}]);
  });

  test(`${database}: work that fails leaves nothing, whatever it had under way`, async t => {
    const {db} = await openTestChat(t, database);
    await t.throwsAsync(
      inTransaction(db, tx => {
        tx.last(rows(tx, insert, ['alice', 'Alice']));
        return Promise.reject(new Error('changed my mind'));
      }),
      {message: 'changed my mind'},
    );
    t.deepEqual(await rows(db, 'select id from users'), []);
  });

  test(`${database}: a statement that cannot be prepared fails for all who ask, and works once it can be`, async t => {
    const {db} = await openTestChat(t, database);
    const text = 'select name from later';
    const refused = await Promise.allSettled([rows(db, text), rows(db, text), rows(db, text)]);
    t.deepEqual(
      refused.map(each => each.status === 'rejected' && /later/.test(String(each.reason))),
      [true, true, true],
    );
    await inTransaction(db, tx => rows(tx, 'create table later (name text)'));
    t.deepEqual(await rows(db, text), []);
  });

  test(`${database}: what is asked of a transaction without waiting happens in that order`, async t => {
    const {db} = await openTestChat(t, database);
    const count = 'select count(*) as n from users';
    const asked = await inTransaction(db, tx =>
      Promise.all([
        rows(tx, count),
        rows(tx, 'select id from users'),
        rows(tx, insert, ['alice', 'Alice']),
        rows(tx, count),
        rows(tx, 'select id from users'),
        rows(tx, insert, ['bob', 'Bob']),
        rows(tx, count),
      ]),
    );
    t.deepEqual(asked, [[{n: 0}], [], [], [{n: 1}], [{id: 'alice'}], [], [{n: 2}]]);
  });

  test(`${database}: of reads that are asked together each that cannot be prepared fails`, async t => {
    const {db} = await openTestChat(t, database);
    const asked = await inTransaction(db, tx => {
      const all = ['select 1 from nowhere', 'select 1 from nowhere', 'select 1 as n'].map(text => rows(tx, text));
      return Promise.allSettled(all);
    });
    // PostgreSQL's transaction is over with the first.
    const last = db.dialect.rowLocks ? 'rejected' : 'fulfilled';
    t.deepEqual(
      asked.map(each => each.status),
      ['rejected', 'rejected', last],
    );
  });

  test(`${database}: lists of values take what one may write, and nothing too`, async t => {
    const {db} = await openTestChat(t, database);
    const names = [`o'hara`, 'a,b', '{x}', '"q"', 'back\\slash', 'NULL', 'ü 🙂', ''];
    const values = table(
      db.dialect,
      ['bigint', 'text'],
      names.map((name, i) => [i, name]),
    );
    const found = await rows<{n: number; name: string}>(
      db,
      `select column1 as n, column2 as name from ${values.text} order by column1`,
      values.bindings,
    );
    t.deepEqual(
      found.map(row => row.name),
      names,
    );
    const some = among(db.dialect, 'text', names.slice(0, 3));
    t.is(
      (
        await rows(db, `select 1 from ${values.text} where column2 ${some.text}`, [
          ...values.bindings,
          ...some.bindings,
        ])
      ).length,
      3,
    );
    const nulls = table(db.dialect, ['text'], [[null]]);
    t.deepEqual(await rows(db, `select column1 as n from ${nulls.text}`, nulls.bindings), [{n: null}]);
    const none = among(db.dialect, 'text', []);
    t.deepEqual(await rows(db, `select id from users where id ${none.text}`, none.bindings), []);
  });
}
