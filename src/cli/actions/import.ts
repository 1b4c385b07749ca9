// `import`: reads an export, checks its lines, and hands them on in batches; how they get in is told in core/load.
import {createHash} from 'node:crypto';
import {z} from 'zod';
import {isProduction} from '../../config.ts';
import {finishLoad, loadBatch, openLoad, rehearseBatch, rehearseFinish, reserveIds} from '../../core/load.ts';
import type {Load, LoadOutcome} from '../../core/load-plan.ts';
import type {Batch, HeadLine} from '../../core/records.ts';
import {countAll} from '../../core/status.ts';
import type {OpenChat} from '../../open.ts';
import type {CheckpointFile} from '../checkpoint.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {mustBeWholeFile, readExport, type Entry, type RecordLine} from '../export-file.ts';
import {batchesOf, interruptOf, type Interrupt} from '../interrupt.ts';
import {createProgress, type Progress} from '../progress.ts';
import {
  KeptRejects,
  noRejects,
  whereRejected,
  withRejected,
  type Rejected,
  type RejectedInput,
  type RejectsFile,
} from '../rejects.ts';
import {findPlace, goOnRejecting, mustBeAsBegun, skipTo, tellStop} from '../resume.ts';
import {isStream} from '../rows.ts';
import {fingerprint, nameOf, targetOf} from '../target.ts';
import {tellEvents} from './parse.ts';

interface ImportOptions {
  validateOnly?: boolean;
  mode?: 'insert' | 'upsert';
  rejects?: string;
  resume?: boolean;
  event?: 'none' | 'summary';
  batch: number;
}

const State = z.object({
  mode: z.enum(['insert', 'upsert']),
  event: z.enum(['none', 'summary']),
  counts: z.object({
    read: z.number(),
    added: z.number(),
    updated: z.number(),
    existing: z.number(),
    rejected: z.number(),
  }),
  rejects: KeptRejects,
});
type State = z.output<typeof State>;

/** What an import and a look at its file have in common. */
interface Reading {
  cli: Cli;
  head: HeadLine;
  state: State;
  rejects: RejectsFile | undefined;
}

interface Running extends Reading {
  chat: OpenChat;
  file: string;
  id: string;
  load: Load;
  position: number;
  inputHash: string;
  checkpoint: CheckpointFile;
  interrupt: Interrupt;
  progress: Progress;
  /** A rehearsal: nothing is written. */
  dry: boolean;
}

export async function importData(cli: Cli, given: string | undefined, options: ImportOptions): Promise<void> {
  const started = performance.now();
  const file = await cli.ask.text(given, '<file>', 'Which file?');
  if (options.validateOnly) return validate(cli, file, options);
  const chat = await cli.chat();
  const dry = cli.globals.dryRun ?? false;
  if (!dry && !isStream(cli.io, file)) await mustBeWholeFile(cli.io, file);
  const {head, records, share} = await readExport(cli.io, file, true);
  const found = await findLoad(cli, chat, file, head, options, dry);
  if (!dry && found.position === 0) await agree(cli, chat, found.state.mode);
  if (!dry) await reserveIds(chat, cli.actor, head.highest);
  const running: Running = {
    ...found,
    cli,
    chat,
    file,
    head,
    dry,
    interrupt: interruptOf(cli.io),
    progress: await createProgress(cli, {label: 'Importing', share}),
  };
  try {
    await readAll(running, noting(running.load, records), options.batch);
  } finally {
    running.progress.done();
    running.rejects?.close();
    running.interrupt.release();
  }
  if (running.interrupt.asked()) {
    const {mode, event, counts} = running.state;
    const flags = {'--mode': mode, '--event': event, '--batch': options.batch, '--rejects': options.rejects};
    tellStop(cli, {command: ['import'], args: [file], flags, read: `${counts.read} line(s)`});
    running.interrupt.exit();
  }
  if (!dry) {
    await finishLoad(chat, cli.actor, running.id, running.state.event);
    running.checkpoint.remove();
  } else await rehearseFinish(chat, cli.actor, running.load);
  tellEnd(running, started, options, dry ? {dry_run: true} : {});
}

/** A look at the file alone, which needs no database. */
async function validate(cli: Cli, file: string, options: ImportOptions): Promise<void> {
  const started = performance.now();
  const {head, records, share} = await readExport(cli.io, file, true);
  const wish = {rejects: options.rejects, file};
  const rejects = goOnRejecting(cli, wish, rejectedInput(head), {row: undefined}, noRejects);
  const reading: Reading = {cli, head, state: newState(options), rejects};
  const progress = await createProgress(cli, {label: 'Checking', share});
  try {
    for await (const line of records) {
      const bad = rejectedBy([line]);
      reading.state = moved(reading, 1, {added: 1 - bad.length, updated: 0, existing: 0, refused: []}, bad);
      tellRejected(cli, bad, reading.state.counts.rejected - bad.length);
      if (bad.length > 0) rejects?.write(reading.state.rejects.text);
      progress.add(1);
    }
  } finally {
    progress.done();
    rejects?.close();
  }
  tellEnd(reading, started, options, {valid: reading.state.counts.rejected === 0});
}

/** Lines that are no record, whatever the database holds. */
function rejectedBy(lines: readonly RecordLine[]): Rejected[] {
  return lines.flatMap(line => ('problem' in line.entry ? [{row: rowOf(line), reason: line.entry.problem}] : []));
}

/** Adding is a moderate danger; writing over what is there, or into production, a severe one. */
async function agree(cli: Cli, chat: OpenChat, mode: Load['mode']): Promise<void> {
  const contents = await countAll(chat, cli.actor);
  const holds = contents.users + contents.rooms > 0;
  if ((mode === 'upsert' && holds) || isProduction(await cli.config())) {
    const what = mode === 'upsert' ? 'This writes over what is there.' : 'This adds to what is there.';
    return cli.ask.agreeByName(what, nameOf(chat.db.target));
  }
  await cli.ask.agree(`Import into ${fingerprint(await targetOf(chat, cli.actor))}?`);
}

async function findLoad(cli: Cli, chat: OpenChat, file: string, head: HeadLine, options: ImportOptions, dry: boolean) {
  const place = await findPlace(cli, {file, into: '', resume: options.resume ?? false, dry, unit: 'line'});
  const {row, ...found} = place;
  const state = row ? State.parse(JSON.parse(row.state)) : newState(options);
  mustBeAsBegun({mode: options.mode, event: options.event}, state, ['mode', 'event']);
  const rejects = goOnRejecting(cli, {rejects: options.rejects, file}, rejectedInput(head), place, state.rejects);
  // Of what an import refused, the rooms may be in since then.
  const ownRoomsOnly = head.kinds.includes('rooms') && !head.rejects;
  const load = await openLoad(chat, found.id, {kind: 'load', mode: state.mode, event: state.event, ownRoomsOnly});
  return {...found, state, load, rejects};
}

function newState({mode = 'insert', event = 'summary'}: ImportOptions): State {
  const counts = {read: 0, added: 0, updated: 0, existing: 0, rejected: 0};
  return {mode, event, counts, rejects: noRejects};
}

/** Of rooms that were refused, members and messages wait for the room itself: here others may have their ids. */
async function* noting({awaited}: Load, lines: AsyncIterable<RecordLine>): AsyncGenerator<RecordLine> {
  for await (const line of lines) {
    for (const id of line.awaited ?? []) awaited.add(id);
    yield line;
  }
}

async function readAll(running: Running, records: AsyncIterable<RecordLine>, size: number): Promise<void> {
  const hash = createHash('sha256');
  const lines = records[Symbol.asyncIterator]();
  await skipTo(running, lines, hash, line => line.text);
  running.progress.begin();
  if (!running.dry) writeCheckpoint(running);
  for await (const batch of batchesOf({[Symbol.asyncIterator]: () => lines}, size, running.interrupt)) {
    for (const part of byKind(batch)) {
      for (const line of part) hash.update(line.text);
      await loadPart(running, part, hash.copy().digest('hex'));
      running.progress.add(part.length);
    }
  }
}

/** Runs of lines of one kind; those that cannot be read go with the run that they stand in. */
function byKind(batch: readonly RecordLine[]): RecordLine[][] {
  const parts: RecordLine[][] = [];
  let kind: string | undefined;
  for (const line of batch) {
    const own = 'kind' in line.entry ? line.entry.kind : kind;
    if (parts.length === 0 || (kind !== undefined && own !== kind)) parts.push([]);
    kind = own;
    parts.at(-1)?.push(line);
  }
  return parts;
}

async function loadPart(running: Running, part: readonly RecordLine[], inputHash: string): Promise<void> {
  const {cli, chat, load, dry} = running;
  const good = part.filter((line): line is RecordLine & {entry: Entry} => 'kind' in line.entry);
  const bad = rejectedBy(part);
  const before = running.position;
  const after = (outcome: LoadOutcome) => {
    const refused = outcome.refused.flatMap(({at, reason}): Rejected[] => {
      const line = good[at];
      return line ? [{row: rowOf(line), reason}] : [];
    });
    running.state = moved(running, part.length, outcome, [...bad, ...refused]);
    tellRejected(cli, [...bad, ...refused], running.state.counts.rejected - bad.length - refused.length);
    return {id: running.id, position: before + part.length, inputHash, state: JSON.stringify(running.state)};
  };
  const batch = batchOf(good.map(line => line.entry));
  if (dry) after(await rehearseBatch(chat, cli.actor, load, batch));
  else await loadBatch(chat, cli.actor, load, batch, before, after);
  running.position = before + part.length;
  running.inputHash = inputHash;
  running.rejects?.write(running.state.rejects.text);
  if (!dry) writeCheckpoint(running);
}

function moved(reading: Reading, read: number, outcome: LoadOutcome, rejected: readonly Rejected[]): State {
  const {state, head, rejects} = reading;
  const {counts} = state;
  return {
    ...state,
    counts: {
      read: counts.read + read,
      added: counts.added + outcome.added,
      updated: counts.updated + outcome.updated,
      existing: counts.existing + outcome.existing,
      rejected: counts.rejected + rejected.length,
    },
    rejects: withRejected(state.rejects, rejects, rejectedInput(head), rejected),
  };
}

/** Rejected lines are an export again, marked as rejects. */
function rejectedInput(head: HeadLine): RejectedInput {
  return {format: 'ndjson', header: [JSON.stringify({...head, rejects: true})], delimiter: ''};
}

/** Entries of one kind as a batch. */
function batchOf(entries: readonly Entry[]): Batch {
  const kind = entries[0]?.kind ?? 'users';
  return {kind, records: entries.map(each => each.record)} as unknown as Batch;
}

function rowOf({text}: RecordLine): Rejected['row'] {
  try {
    const fields = JSON.parse(text) as Record<string, unknown>;
    return {raw: text, fields: fields['type'] === 'room' ? {...fields, was: fields['id']} : fields};
  } catch {
    return {raw: text, fields: undefined};
  }
}

function writeCheckpoint({checkpoint, id, chat, position, inputHash, state}: Running): void {
  const {counts} = state;
  checkpoint.write({import: id, database: chat.databaseId, into: '', rows: position, input_hash: inputHash, counts});
}

const maxTold = 10;

function tellRejected(cli: Cli, rejected: readonly Rejected[], before: number): void {
  for (const {row, reason} of rejected.slice(0, Math.max(maxTold - before, 0))) {
    cli.note(`Rejected: ${reason}: ${String(row.raw).slice(0, 80)}`);
  }
}

function tellEnd({cli, state}: Reading, started: number, options: ImportOptions, more: object): void {
  const events = cli.events();
  tellEvents(cli, events.slice(0, maxTold));
  if (events.length > maxTold) cli.note(`… and ${events.length - maxTold} more event(s)`);
  const {counts} = state;
  const end = {
    type: 'end',
    ...counts,
    seconds: Math.round(performance.now() - started) / 1_000,
    events: events.length,
    ...more,
  };
  cli.print({
    items: [end],
    columns: ['read', 'added', 'updated', 'existing', 'rejected', 'events', 'seconds'],
    id: 'read',
    single: true,
    json: ([only]) => only ?? end,
  });
  if (counts.rejected === 0) return;
  cli.note(
    `${counts.rejected} line(s) were rejected. ${whereRejected(options.rejects, counts.rejected, state.rejects)}`,
  );
  throw new Exit(exits.partial);
}
