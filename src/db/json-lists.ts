// Many rows as one text of JSON: a driver that makes a hundred objects takes longer than the database does over all of them.
import type {Dialect} from './connect.ts';

/** An aggregate: the values of these columns, or with one column the value alone, of each row in the order of the rows. */
export function jsonList({jsonList: aggregate, jsonRow}: Dialect, ...columns: readonly string[]): string {
  const each = columns.length === 1 ? columns.join() : `${jsonRow}(${columns.join(', ')})`;
  return `cast(${aggregate}(${each}) as text)`;
}

/** The aggregate of no rows is NULL on PostgreSQL. */
export function parseList<T>(text: string | null): T[] {
  return JSON.parse(text ?? '[]') as T[];
}
