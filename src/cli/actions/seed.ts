import {isProduction} from '../../config.ts';
import {ChatError} from '../../core/errors.ts';
import {finishLoad, loadBatch, openLoad, rehearseBatch, rehearseFinish} from '../../core/load.ts';
import type {Load, LoadOutcome} from '../../core/load-plan.ts';
import type {Batch} from '../../core/records.ts';
import {mustBeEmpty, planSeed, seedBatches, type FirstIds, type Preset, type SeedPlan} from '../../core/seed.ts';
import {beginSeed, findSeed, stateOf, type SeedNumbers, type SeedPlace} from '../../core/seed-place.ts';
import {countAll} from '../../core/status.ts';
import type {RoomRecord} from '../../db/load.ts';
import type {OpenChat} from '../../open.ts';
import {nextCommand} from '../command-name.ts';
import type {Cli} from '../context.ts';
import {interruptOf, type Interrupt} from '../interrupt.ts';
import {createProgress} from '../progress.ts';
import {nameOf} from '../target.ts';
import {tellEvents} from './parse.ts';

interface SeedOptions {
  preset: Preset;
  users?: number;
  rooms?: number;
  messages?: number;
  random: number;
  append?: boolean;
}

const batchSize = 2_000;

export async function seed(cli: Cli, options: SeedOptions): Promise<void> {
  const started = performance.now();
  const chat = await cli.chat();
  const plan = planSeed(options.preset, options);
  const begun = await agreeToSeed(cli, chat, plan, options);
  const {rooms, existing} = await seedRows(cli, chat, plan, begun);
  const events = cli.events();
  tellEvents(cli, events.slice(0, maxToldEvents));
  if (events.length > maxToldEvents) cli.note(`… and ${events.length - maxToldEvents} more event(s)`);
  const seconds = Math.round(performance.now() - started) / 1_000;
  const items = rooms.map((room, i) => ({
    id: room.id,
    name: room.name,
    members: plan.rooms[i]?.members ?? 0,
    messages: room.lastSeq,
  }));
  cli.note(`${plan.users} user(s)${existing > 0 ? `, of whom ${existing} were here before` : ''} in ${seconds} s.`);
  cli.print({
    items,
    columns: ['id', 'name', 'members', 'messages'],
    id: 'id',
    json: made => ({
      users: plan.users,
      rooms: made,
      messages: rooms.reduce((sum, room) => sum + room.lastSeq, 0),
      seconds,
    }),
  });
}

const maxToldEvents = 10;

/** Asks where others' data is there, and answers the seed that was interrupted and goes on. */
async function agreeToSeed(
  cli: Cli,
  chat: OpenChat,
  plan: SeedPlan,
  {append}: SeedOptions,
): Promise<SeedPlace | undefined> {
  const {same, other} = await findSeed(chat, cli.actor, plan);
  const contents = await countAll(chat, cli.actor);
  const empty = contents.users + contents.rooms === 0;
  if (!append && !same) mustBeEmpty(contents, chat.db.target.label, other && hintOf(cli, other));
  // Without --append, what is there is the seed's own.
  if (!cli.globals.dryRun && ((append && !empty) || isProduction(await cli.config()))) {
    await cli.ask.agreeByName('This puts demo data beside what is there.', nameOf(chat.db.target));
  }
  return same;
}

/** The line that goes on with a seed. */
function hintOf(cli: Cli, {preset, users, rooms, messages, random}: SeedNumbers): string {
  const numbers = {users, rooms, messages, random};
  const flags = Object.entries(numbers).flatMap(([flag, number]) => [`--${flag}`, String(number)]);
  const line = nextCommand(cli, ['seed'], [], ['--preset', preset, ...flags]);
  return `A seed was interrupted here. Go on with: ${line}; or add to what is there with --append.`;
}

/** Puts the rows in, until Ctrl-C ends the batch that is under way. */
async function seedRows(cli: Cli, chat: OpenChat, plan: SeedPlan, begun: SeedPlace | undefined) {
  const interrupt = interruptOf(cli.io);
  try {
    const seeded = await loadSeed(cli, chat, plan, begun, interrupt);
    if (seeded.whole) return seeded;
  } finally {
    interrupt.release();
  }
  cli.note('Stopped. What is in stays; the same command goes on with it.');
  return interrupt.exit();
}

interface Seeded {
  rooms: RoomRecord[];
  existing: number;
  /** All rows are in. */
  whole: boolean;
}

/** Puts the rows of a plan in, behind those that are, and tells how far it has come. */
export async function loadSeed(
  cli: Cli,
  chat: OpenChat,
  plan: SeedPlan,
  begun?: SeedPlace,
  interrupt?: Pick<Interrupt, 'asked'>,
): Promise<Seeded> {
  if (begun) cli.note(`It goes on with a seed that was interrupted: ${begun.position} row(s) are in.`);
  const place = begun ?? (await beginSeed(chat, cli.actor, plan));
  const into = await openLoad(chat, place.id, {kind: 'seed', mode: 'insert', event: 'summary', ownRoomsOnly: true});
  const total = plan.users + plan.rooms.reduce((sum, room) => sum + 1 + room.members + room.messages, 0);
  const progress = await createProgress(cli, {label: 'Seeding', total});
  const seeding: Seeding = {cli, chat, plan, into, id: place.id, first: place.first, existing: place.existing};
  const rooms: RoomRecord[] = [];
  let position = 0;
  try {
    for (const batch of seedBatches(plan, place.first, batchSize)) {
      if (interrupt?.asked()) return {rooms, existing: seeding.existing, whole: false};
      if (batch.kind === 'rooms') rooms.push(...batch.records);
      const before = position;
      position += batch.records.length;
      if (position > place.position) await loadRows(seeding, batch, before);
      progress.add(batch.records.length);
    }
    if (cli.globals.dryRun) await rehearseFinish(chat, cli.actor, into);
    else await finishLoad(chat, cli.actor, place.id, 'summary');
  } finally {
    progress.done();
  }
  return {rooms, existing: seeding.existing, whole: true};
}

interface Seeding {
  cli: Cli;
  chat: OpenChat;
  plan: SeedPlan;
  into: Load;
  id: string;
  first: FirstIds;
  existing: number;
}

async function loadRows(seeding: Seeding, batch: Batch, before: number): Promise<void> {
  const {cli, chat, plan, into, id} = seeding;
  const after = (outcome: LoadOutcome) => {
    seeding.existing += outcome.existing;
    const [refused] = outcome.refused;
    if (refused) throw wasChanged(refused.reason);
    return {id, position: before + batch.records.length, inputHash: '', state: stateOf(plan, seeding)};
  };
  if (cli.globals.dryRun) after(await rehearseBatch(chat, cli.actor, into, batch));
  else await loadBatch(chat, cli.actor, into, batch, before, after);
}

/** The rows of a seed fit each other, so that one is only refused where those before it are no longer there. */
function wasChanged(reason: string): ChatError {
  return new ChatError('input_changed', `What was seeded so far has been changed since: ${reason}.`, {
    hint: 'Seed with another --random and --append, or an empty database.',
  });
}
