import type {Knex} from 'knex';
import pg from 'pg';
import {toRfc3339} from './times.ts';

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
