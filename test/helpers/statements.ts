// What a pool's connections are asked, told by the drivers' own calls: Knex sees little of it.
import type {Knex} from 'knex';

type Tell = (text: string, bindings: readonly unknown[]) => void;

interface Connection {
  /** SQLite's. */
  ask?: (text: string, values: readonly unknown[]) => Promise<unknown>;
  /** PostgreSQL's. */
  query?: (asked: {text?: string; values?: readonly unknown[]}, ...more: unknown[]) => unknown;
}

/** Tells every statement on each connection that the pool gives out from now on. */
export function watchStatements(knex: Knex, tell: Tell): void {
  onEach(knex, connection => watch(connection, tell));
}

/** Does something once to each connection that the pool gives out from now on. */
function onEach(knex: Knex, once: (connection: Connection) => void): void {
  const pool = knex.client as {acquireConnection(): Promise<Connection>};
  const acquire = pool.acquireConnection.bind(pool);
  const done = new WeakSet<Connection>();
  pool.acquireConnection = async () => {
    const connection = await acquire();
    if (!done.has(connection)) once(connection);
    done.add(connection);
    return connection;
  };
}

function watch(connection: Connection, tell: Tell): void {
  const ask = connection.ask?.bind(connection);
  const query = connection.query?.bind(connection);
  if (ask) {
    connection.ask = (text, values) => {
      tell(text, values);
      return ask(text, values);
    };
  } else if (query) {
    connection.query = (asked, ...more) => {
      tell(asked.text ?? '', asked.values ?? []);
      return query(asked, ...more);
    };
  }
}

/** Of its pool, at most. */
export function mostConnections(knex: Knex): number {
  return (knex.client as {pool: {max: number}}).pool.max;
}

/** Has something happen just before the nth statement, or the first like this, from now on that any connection of the pool is asked. */
export function beforeStatement(
  knex: Knex,
  which: number | RegExp,
  happen: () => Promise<unknown>,
): {happened: () => boolean} {
  let asked = 0;
  let happening: Promise<unknown> | undefined;
  const wait = async (text: string) => {
    // What happens may ask this pool too.
    if (happening || !(typeof which === 'number' ? ++asked === which : which.test(text))) return;
    happening = happen();
    await happening;
  };
  onEach(knex, connection => {
    const ask = connection.ask?.bind(connection);
    const query = connection.query?.bind(connection);
    // What is sent behind the one that is held stays behind it.
    let turn = Promise.resolve();
    const inTurn = (text = '') => (turn = turn.then(() => wait(text)));
    if (ask) connection.ask = (text, values) => inTurn(text).then(() => ask(text, values));
    else if (query) connection.query = (...asked) => inTurn(asked[0].text).then(() => query(...asked));
  });
  return {happened: () => happening !== undefined};
}
