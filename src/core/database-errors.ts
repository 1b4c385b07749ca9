// What the drivers throw when the database is busy, away or not to be written, as errors that every door can tell.
import {ChatError} from './errors.ts';

/** PostgreSQL gave up: a statement's or a lock's time was over, or two transactions waited for each other. */
const busyCodes = new Set(['57014', '55P03', '40P01', '40001', 'SQLITE_BUSY']);
const awayCodes = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ETIMEDOUT',
  'EPIPE',
  '57P01',
  '57P02',
  '57P03',
  '08006',
  '53300',
]);
/** The file or its folder is read-only, the disk is full or broken; 25006 is a standby of PostgreSQL. */
const unwritableCodes = new Set([
  'SQLITE_READONLY',
  'SQLITE_CANTOPEN',
  'SQLITE_FULL',
  'SQLITE_IOERR',
  '25006',
  '53100',
]);

/** What pg says, without a code, of a connection that broke: to who waited, and to who asks it next. */
const brokenConnection = /Connection terminated|is not queryable/;

/** Undefined for what is no failure of the database. */
export function databaseError(cause: unknown): ChatError | undefined {
  if (!(cause instanceof Error)) return undefined;
  const code = 'code' in cause ? String(cause.code) : '';
  if (busyCodes.has(code)) return new ChatError('database_busy', 'The database is too busy; try again.', {cause});
  if (unwritableCodes.has(code)) {
    return new ChatError('database_unavailable', `The database cannot be written (${code}).`, {
      cause,
      hint: 'Look at the owner and the permissions of the file and its folder, and at the space on its disk.',
    });
  }
  if (awayCodes.has(code) || cause.name === 'KnexTimeoutError' || brokenConnection.test(cause.message)) {
    return new ChatError('database_unavailable', 'The database cannot be reached; try again.', {cause});
  }
  return undefined;
}
