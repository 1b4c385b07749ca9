import {isProduction} from '../../config.ts';
import {newImportId} from '../../core/imports.ts';
import {finishLoad, loadBatch, openLoad, rehearseBatch, rehearseFinish} from '../../core/load.ts';
import type {LoadOutcome} from '../../core/load-plan.ts';
import {drawSeedIds, mustBeEmpty, planSeed, seedBatches, type Preset, type SeedPlan} from '../../core/seed.ts';
import {countAll} from '../../core/status.ts';
import type {RoomRecord} from '../../db/load.ts';
import type {OpenChat} from '../../open.ts';
import type {Cli} from '../context.ts';
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
  const contents = await countAll(chat, cli.actor);
  if (!options.append) mustBeEmpty(contents, chat.db.target.label);
  const empty = contents.users + contents.rooms === 0;
  if (!cli.globals.dryRun && (!empty || isProduction(await cli.config()))) {
    await cli.ask.agreeByName('This puts demo data beside what is there.', nameOf(chat.db.target));
  }
  const {rooms, existing} = await loadSeed(cli, chat, plan);
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

/** Puts the rows of a plan in, and tells how far it has come. */
export async function loadSeed(
  cli: Cli,
  chat: OpenChat,
  plan: SeedPlan,
): Promise<{rooms: RoomRecord[]; existing: number}> {
  const id = newImportId();
  const into = await openLoad(chat, id, {kind: 'seed', mode: 'insert', event: 'summary', ownRoomsOnly: true});
  const first = await drawSeedIds(chat, cli.actor, plan);
  const total = plan.users + plan.rooms.reduce((sum, room) => sum + 1 + room.members + room.messages, 0);
  const progress = createProgress(cli, {label: 'Seeding', total});
  const rooms: RoomRecord[] = [];
  let position = 0;
  let existing = 0;
  try {
    for (const batch of seedBatches(plan, first, batchSize)) {
      const before = position;
      position += batch.records.length;
      if (batch.kind === 'rooms') rooms.push(...batch.records);
      const after = (outcome: LoadOutcome) => {
        existing += outcome.existing;
        const [refused] = outcome.refused;
        if (refused) throw new Error(`a row of the seed was refused: ${refused.reason}`);
        return {id, position, inputHash: '', state: '{}'};
      };
      if (cli.globals.dryRun) after(await rehearseBatch(chat, cli.actor, into, batch));
      else await loadBatch(chat, cli.actor, into, batch, before, after);
      progress.add(batch.records.length);
    }
    if (cli.globals.dryRun) await rehearseFinish(chat, cli.actor, into);
    else await finishLoad(chat, cli.actor, id, 'summary');
  } finally {
    progress.done();
  }
  return {rooms, existing};
}
