// Processes that are ended halfway through their rows.
import type {Db} from '../../src/db/connect.ts';
import type {Ended, TestProcess} from './cli.ts';
import {until} from './until.ts';

/** Ends the process by a signal as soon as more than so many rows are in. */
export async function endedBehind(
  {sql}: Db,
  running: TestProcess,
  rows: number,
  signal: NodeJS.Signals,
): Promise<Ended> {
  const position = async () => ((await sql('imports').first()) as {position: number} | undefined)?.position ?? 0;
  await until(async () => (await position()) > rows, `more than ${rows} rows`, 90_000);
  running.child.kill(signal);
  return running.ended;
}

/**
 * Makes each new row of a table cost as much as so many bytes of noise, so that whoever watches a process is in time to
 * end it between two batches, however busy the machine is. Answers what makes them cheap again.
 */
export async function makeDear({dialect, writer}: Db, table: string, bytes: number): Promise<() => Promise<unknown>> {
  if (dialect.name === 'sqlite') {
    await writer.raw(`create trigger dear before insert on ${table} begin select randomblob(${bytes}); end`);
    return () => writer.raw('drop trigger dear');
  }
  await writer.raw(`create function dear() returns trigger language plpgsql as
    $$ begin perform md5(repeat('x', ${bytes})); return new; end $$`);
  await writer.raw(`create trigger dear before insert on ${table} for each row execute function dear()`);
  return () => writer.raw('drop function dear cascade');
}
