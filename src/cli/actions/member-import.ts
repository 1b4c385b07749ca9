// `member import`: reads rows, checks them, and hands them on in batches; how they get in, and how an import that was
// killed goes on, is told in core/imports.
import {createHash} from 'node:crypto';
import {z} from 'zod';
import type {Chat} from '../../core/chat.ts';
import {ChatError} from '../../core/errors.ts';
import * as imports from '../../core/imports.ts';
import {RoleInput, UserIdInput, UsernameInput} from '../../core/input.ts';
import type {Room} from '../../db/rooms.ts';
import type {CheckpointFile} from '../checkpoint.ts';
import type {Said} from '../command-name.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {batchesOf, interruptOf, type Interrupt} from '../interrupt.ts';
import {createProgress, type Progress} from '../progress.ts';
import {KeptRejects, noRejects, whereRejected, withRejected, type Rejected, type RejectsFile} from '../rejects.ts';
import {findPlace, goOnRejecting, mustBeAsBegun, skipTo, tellStop} from '../resume.ts';
import {openInput, readRows, type InputRow, type InputRows, type RowFormat} from '../rows.ts';
import {eventJson, tellEvents, toRoom} from './parse.ts';

interface MemberImportOptions {
  format?: RowFormat;
  map?: Record<string, string>;
  batch: number;
  rejects?: string;
  resume?: boolean;
  existingUsers?: boolean;
  event?: imports.ImportEvents;
}

const Counts = z.object({read: z.number(), added: z.number(), existing: z.number(), rejected: z.number()});
type Counts = z.output<typeof Counts>;

/** What a row in the database remembers of an import besides its place. */
const State = z.object({
  room: z.number(),
  event: z.enum(['none', 'summary', 'each']),
  counts: Counts,
  rejects: KeptRejects,
});
type State = z.output<typeof State>;

interface Running {
  cli: Cli;
  chat: Chat;
  room: Room;
  options: MemberImportOptions;
  id: string;
  state: State;
  position: number;
  inputHash: string;
  checkpoint: CheckpointFile;
  rejects: RejectsFile | undefined;
  interrupt: Interrupt;
  progress: Progress;
}

export async function importMembers(
  cli: Cli,
  reference: string | undefined,
  file: string | undefined,
  options: MemberImportOptions,
): Promise<void> {
  const started = performance.now();
  const room = await toRoom(cli, reference);
  const path = await cli.ask.text(file, '<file>', 'Which file?');
  const {bytes, share} = openInput(cli.io, path);
  const input = await readRows(bytes, options.format);
  mustHaveUsers(input, options.map ?? {});
  const found = await findImport(cli, room, path, input, options);
  const running: Running = {
    ...found,
    cli,
    room,
    options,
    chat: await cli.chat(),
    interrupt: interruptOf(cli.io),
    progress: await createProgress(cli, {label: 'Importing members', share}),
  };
  try {
    await readAll(running, input);
  } finally {
    running.progress.done();
    running.rejects?.close();
    running.interrupt.release();
  }
  if (running.interrupt.asked()) {
    tellStop(cli, {
      command: ['member', 'import'],
      args: [`id:${room.id}`, path],
      flags: flagsOf(options),
      read: `${running.state.counts.read} row(s)`,
    });
    running.interrupt.exit();
  }
  if (!cli.globals.dryRun) {
    await imports.finishMembers(running.chat, cli.actor, running.id, room.id, running.state.event);
    running.checkpoint.remove();
  } else if (running.state.event === 'summary') {
    imports.rehearseEvent(running.chat, room, running.state.counts.added);
  }
  await tellEnd(running, started);
}

async function findImport(cli: Cli, room: Room, path: string, input: InputRows, options: MemberImportOptions) {
  const dry = cli.globals.dryRun ?? false;
  const wish = {file: path, into: String(room.id), resume: options.resume ?? false, dry, unit: 'row'} as const;
  const place = await findPlace(cli, wish);
  const {row, ...found} = place;
  const state = row ? State.parse(JSON.parse(row.state)) : newState(room, options);
  mustBeAsBegun({event: options.event}, state, ['event']);
  return {
    ...found,
    state,
    rejects: goOnRejecting(cli, {rejects: options.rejects, file: path}, input, place, state.rejects),
  };
}

function newState(room: Room, options: MemberImportOptions): State {
  const counts = {read: 0, added: 0, existing: 0, rejected: 0};
  return {room: room.id, event: options.event ?? 'summary', counts, rejects: noRejects};
}

async function readAll(running: Running, input: InputRows): Promise<void> {
  const hash = createHash('sha256');
  const rows = input.rows[Symbol.asyncIterator]();
  await skipTo(running, rows, hash, textOf);
  running.progress.begin();
  if (!running.cli.globals.dryRun) writeCheckpoint(running);
  const seen = new Set<imports.MemberRow['user']>();
  const rest = {[Symbol.asyncIterator]: () => rows};
  for await (const batch of batchesOf(rest, running.options.batch, running.interrupt)) {
    for (const row of batch) hash.update(textOf(row));
    await importBatch(running, input, batch, hash.copy().digest('hex'), seen);
    running.progress.add(batch.length);
  }
}

function textOf(row: InputRow): string {
  return `${JSON.stringify(row.raw)}\n`;
}

async function importBatch(
  running: Running,
  input: InputRows,
  batch: readonly InputRow[],
  inputHash: string,
  seen: Set<imports.MemberRow['user']>,
): Promise<void> {
  const {cli, chat, room, options} = running;
  const checked = batch.map(row => ({row, member: toMember(row, options.map ?? {})}));
  const good = checked.flatMap(({row, member}) => (typeof member === 'string' ? [] : [{row, member}]));
  const bad = checked.flatMap(({row, member}): Rejected[] =>
    typeof member === 'string' ? [{row, reason: member}] : [],
  );
  const rows = good.map(each => each.member);
  const existingUsers = options.existingUsers ?? false;
  const after = (outcome: imports.BatchOutcome) => {
    const refused = outcome.refused.flatMap(({at, reason}): Rejected[] => {
      const row = good[at]?.row;
      return row ? [{row, reason}] : [];
    });
    const rejected = [...bad, ...refused];
    const {counts, rejects} = running.state;
    running.state = {
      ...running.state,
      counts: {
        read: counts.read + batch.length,
        added: counts.added + outcome.added,
        existing: counts.existing + outcome.existing,
        rejected: counts.rejected + rejected.length,
      },
      rejects: withRejected(rejects, running.rejects, input, rejected),
    };
    tellRejected(cli, rejected, counts.rejected);
    return {id: running.id, position: before + batch.length, inputHash, state: JSON.stringify(running.state)};
  };
  const before = running.position;
  const {event} = running.state;
  if (cli.globals.dryRun) {
    const told = event === 'each' ? room : undefined;
    after(await imports.rehearseMembers(chat, cli.actor, {room: room.id, rows, existingUsers}, seen, told));
  } else await imports.importMembers(chat, cli.actor, {room: room.id, rows, event, existingUsers, before, after});
  running.position = before + batch.length;
  running.inputHash = inputHash;
  running.rejects?.write(running.state.rejects.text);
  if (!cli.globals.dryRun) writeCheckpoint(running);
}

function writeCheckpoint({checkpoint, id, chat, room, position, inputHash, state}: Running): void {
  checkpoint.write({
    import: id,
    database: chat.databaseId,
    into: String(room.id),
    rows: position,
    input_hash: inputHash,
    counts: state.counts,
  });
}

const maxToldRejects = 10;

function tellRejected(cli: Cli, rejected: readonly Rejected[], before: number): void {
  for (const {row, reason} of rejected.slice(0, Math.max(maxToldRejects - before, 0))) {
    cli.note(`Rejected row ${(row as InputRow).line}: ${reason}`);
  }
}

/** Where a value may stand when no --map says it, as `member list` writes them too. */
const places: Record<keyof imports.MemberRow, readonly string[]> = {
  user: ['user', 'user_id', 'user.id'],
  role: ['role'],
  username: ['username', 'user.username'],
};

function mustHaveUsers({format, header}: InputRows, map: Record<string, string>): void {
  const wrong = Object.keys(map).find(name => !(name in places));
  if (wrong !== undefined) {
    throw new ChatError('unknown_value', `--map ${wrong}=… means nothing here.`, {
      hint: `What can be mapped: ${Object.keys(places).join(', ')}.`,
    });
  }
  if (format === 'ndjson') return;
  const missing = Object.values(map).find(name => !header.includes(name));
  const wanted = map['user'] === undefined ? places.user : [map['user']];
  if (missing === undefined && (header.length === 0 || wanted.some(name => header.includes(name)))) return;
  throw new ChatError('required', `The header has no column ${missing ?? 'user'}: it is ${header.join(', ')}.`, {
    hint: 'The first line names the columns. Say which one holds the user ids: --map user=<column>',
  });
}

/** The row as a member, or why it cannot be. */
function toMember(row: InputRow, map: Record<string, string>): imports.MemberRow | string {
  const {fields} = row;
  if (!fields) return row.reason ?? 'the row cannot be read';
  const value = (name: keyof imports.MemberRow) => textAt(fields, map[name] === undefined ? places[name] : [map[name]]);
  const user = UserIdInput.safeParse(value('user') ?? '');
  if (!user.success) return problem('user', value('user') ?? '', user.error);
  const role = RoleInput.safeParse(value('role') ?? 'member');
  if (!role.success) return 'role must be member or admin';
  const username = UsernameInput.optional().safeParse(value('username'));
  if (!username.success) return problem('username', value('username') ?? '', username.error);
  return {user: user.data, role: role.data, username: username.data};
}

function problem(name: string, value: string, error: z.ZodError): string {
  if (value === '') return `${name} is missing`;
  return `${name} ${error.issues[0]?.message.replace(/\.$/, '') ?? 'is not valid'}`;
}

/** The first text or number at one of these places, trimmed; an empty cell is none. */
function textAt(fields: Readonly<Record<string, unknown>>, wanted: readonly string[]): string | undefined {
  for (const place of wanted) {
    const value = fields[place] ?? nested(fields, place);
    const text = typeof value === 'number' ? String(value) : typeof value === 'string' ? value.trim() : '';
    if (text !== '') return text;
  }
  return undefined;
}

function nested(fields: Readonly<Record<string, unknown>>, place: string): unknown {
  return place
    .split('.')
    .reduce<unknown>(
      (value, key) => (typeof value === 'object' && value ? Reflect.get(value, key) : undefined),
      fields,
    );
}

/** As they were given, so that the import goes on with the same. */
function flagsOf({format, map = {}, batch, rejects, existingUsers, event}: MemberImportOptions): Said {
  return {
    '--format': format,
    '--map': Object.entries(map).map(([name, column]) => `${name}=${column}`),
    '--batch': batch,
    '--rejects': rejects,
    '--existing-users': existingUsers,
    '--event': event,
  };
}

async function tellEnd({cli, chat, room, state, options}: Running, started: number): Promise<void> {
  const proof = await imports.proveMembers(chat, cli.actor, room.id);
  const events = cli.events();
  if (state.event !== 'each') tellEvents(cli, events);
  const {counts} = state;
  const end = {
    type: 'end',
    room: room.id,
    ...counts,
    seconds: Math.round(performance.now() - started) / 1_000,
    members: proof.rows,
    ...(cli.globals.dryRun && {dry_run: true}),
    event: state.event === 'each' ? {mode: 'each', events: counts.added} : eventJson(events[0]),
  };
  if (proof.rows !== proof.counted) cli.note(`The room counts ${proof.counted} members, and has ${proof.rows}.`);
  cli.print({
    items: [end],
    columns: ['read', 'added', 'existing', 'rejected', 'members', 'seconds'],
    id: 'room',
    single: true,
    json: ([only]) => only ?? end,
  });
  if (counts.rejected === 0) return;
  cli.note(
    `${counts.rejected} row(s) were rejected. ${whereRejected(options.rejects, counts.rejected, state.rejects)}`,
  );
  throw new Exit(exits.partial);
}
