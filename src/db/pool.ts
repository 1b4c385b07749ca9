// A connection out of Knex's pool, for statements that go to its driver directly: what Knex does with each statement of a
// finished text costs more than a short one takes.
import type {Knex} from 'knex';

/** A driver's connection. Knex does not give one that is marked to anybody else, and ends it. */
export interface Connection {
  __knex__disposed?: string;
}

interface Pool {
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
}

/** Lends a connection for as long as the work takes. */
export async function onConnection<T>(sql: Knex, work: (connection: Connection) => Promise<T>): Promise<T> {
  const pool = sql.client as Pool;
  const connection = await pool.acquireConnection();
  try {
    return await work(connection);
  } finally {
    await pool.releaseConnection(connection);
  }
}
