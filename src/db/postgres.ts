import type {Knex} from 'knex';
import pg from 'pg';

const int8 = 20;
const timestamptz = 1184;

/** Bigints as numbers (ids stay far below 2^53) and times as RFC 3339 text in UTC, the same as SQLite gives. */
export const postgresTypes: Knex.PgCustomTypesConfig = {
  getTypeParser(oid: number, format?: string): (text: string) => unknown {
    if (oid === int8) return Number;
    if (oid === timestamptz) return toRfc3339;
    return pg.types.getTypeParser(oid, format === 'binary' ? 'binary' : 'text');
  },
};

/** Sessions are in UTC: `2026-11-25 03:24:57.12+00`. A date takes four times as long, in lists a tenth of the whole. */
function toRfc3339(text: string): string {
  const [, date, time, fraction = ''] = /^(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00$/.exec(text) ?? [];
  if (date === undefined || time === undefined) return new Date(text).toISOString();
  return `${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z`;
}
