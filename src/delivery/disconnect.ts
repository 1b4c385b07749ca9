// Rows of the outbox that end connections instead of telling something.
import type {Broker} from '../core/broker.ts';
import {deactivated, disconnection} from '../core/disconnections.ts';
import type {Queryable} from '../db/connect.ts';
import type {OutboxRow} from '../db/outbox.ts';
import {findUsers} from '../db/users.ts';
import {outcomeOf, type Outcome} from './deliver.ts';

export function isDisconnection(row: OutboxRow): boolean {
  return row.type === disconnection;
}

/** Ends the connections of the rows' users, except of those who are active again by now. Rejects as the broker does. */
export async function disconnectUsers(q: Queryable, broker: Broker, rows: readonly OutboxRow[]): Promise<Outcome[]> {
  const users = rows.flatMap(row => row.alsoTo);
  const known = await findUsers(q, users);
  const active = new Set(known.filter(user => user.deactivatedAt === null && user.erasedAt === null).map(({id}) => id));
  const ended = users.filter(user => !active.has(user));
  const results = ended.length === 0 ? [] : await broker.disconnect(ended, deactivated);
  const errors = new Map(ended.map((user, i) => [user, results[i]]));
  return rows.map(({alsoTo}) =>
    outcomeOf(
      alsoTo.flatMap(user => {
        const error = errors.get(user);
        return error ? [{channel: `the connections of ${user}`, error}] : [];
      }),
    ),
  );
}
