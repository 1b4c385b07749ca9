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
  const pool = knex.client as {acquireConnection(): Promise<Connection>};
  const acquire = pool.acquireConnection.bind(pool);
  const watched = new WeakSet<Connection>();
  pool.acquireConnection = async () => {
    const connection = await acquire();
    if (!watched.has(connection)) watch(connection, tell);
    watched.add(connection);
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
