import type {Timestamp} from '../core/ids.ts';

/**
 * A time as RFC 3339 in UTC with milliseconds, which SQLite keeps. PostgreSQL, whose sessions are in UTC, writes
 * `2026-11-25 03:24:57.12+00` and in JSON `2026-11-25T03:24:57.12+00:00`. A date takes four times as long, in lists a tenth of
 * the whole.
 */
export function toRfc3339(text: string): Timestamp {
  if (text.endsWith('Z')) return text as Timestamp;
  const [, date, time, fraction = ''] =
    /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?\+00(?::00)?$/.exec(text) ?? [];
  if (date === undefined || time === undefined) return new Date(text).toISOString() as Timestamp;
  return `${date}T${time}.${fraction.slice(0, 3).padEnd(3, '0')}Z` as Timestamp;
}
