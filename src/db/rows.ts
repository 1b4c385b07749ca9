import type {Queryable} from './connect.ts';

/** Runs one SQL text with `?` bindings and gives its rows, whatever shape the driver wraps them in. */
export async function rows<Row>(
  q: Queryable,
  text: string,
  bindings: readonly (string | number | null)[] = [],
): Promise<Row[]> {
  const result: unknown = await q.sql.raw(text, [...bindings]);
  return rowsOf<Row>(result);
}

function rowsOf<Row>(result: unknown): Row[] {
  if (Array.isArray(result)) return result as Row[];
  if (typeof result === 'object' && result !== null && 'rows' in result) return result.rows as Row[];
  return [];
}

/** `?, ?, ?` for a list of bindings. */
export function marks(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
}

/** PostgreSQL's refusal of a value that another transaction took meanwhile. SQLite lets one transaction write at a time. */
export function isUniqueViolation(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '23505';
}
