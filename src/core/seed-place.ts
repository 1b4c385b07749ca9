// Where a seed stands that was interrupted: the same command goes on with it, because its rows come out of its numbers again.
import {z} from 'zod';
import {listUnfinished} from '../db/imports.ts';
import {mustBeManager} from './access.ts';
import type {Actor, Chat} from './chat.ts';
import {newImportId} from './imports.ts';
import {drawSeedIds, type FirstIds, type SeedPlan} from './seed.ts';

/** What the rows come out of, and what became of those that are in. */
const State = z.object({
  preset: z.string(),
  users: z.number(),
  rooms: z.number(),
  messages: z.number(),
  random: z.number(),
  first: z.object({room: z.number(), message: z.number()}),
  existing: z.number(),
});
type State = z.output<typeof State>;

/** The numbers that make a seed what it is. */
export type SeedNumbers = Pick<State, 'preset' | 'users' | 'rooms' | 'messages' | 'random'>;

export interface SeedPlace {
  id: string;
  /** Rows that are in. */
  position: number;
  first: FirstIds;
  /** Users who were here before. */
  existing: number;
  /** It was begun before. */
  goesOn: boolean;
}

export function numbersOf({preset, users, rooms, random}: SeedPlan): SeedNumbers {
  return {preset, users, rooms: rooms.length, messages: rooms.reduce((sum, room) => sum + room.messages, 0), random};
}

/** As it is kept with each batch. */
export function stateOf(plan: SeedPlan, {first, existing}: Pick<SeedPlace, 'first' | 'existing'>): string {
  return JSON.stringify({...numbersOf(plan), first, existing} satisfies State);
}

/** Of the seeds that were interrupted the one with these numbers, or else the latest, which is another. */
export async function findSeed(
  chat: Chat,
  actor: Actor,
  plan: SeedPlan,
): Promise<{same: SeedPlace | undefined; other: SeedNumbers | undefined}> {
  mustBeManager(actor, 'seed');
  const begun = (await listUnfinished(chat.db, 'seed', mostUnfinished)).flatMap(({id, position, state}) => {
    const found = State.safeParse(JSON.parse(state)).data;
    return found ? [{id, position, ...found}] : [];
  });
  const wanted = numbersOf(plan);
  const names = ['preset', 'users', 'rooms', 'messages', 'random'] as const;
  const same = begun.find(each => names.every(name => each[name] === wanted[name]));
  return {same: same && {...same, goesOn: true}, other: begun[0]};
}
const mostUnfinished = 100;

export async function beginSeed(chat: Chat, actor: Actor, plan: SeedPlan): Promise<SeedPlace> {
  const first = await drawSeedIds(chat, actor, plan);
  return {id: newImportId(), position: 0, first, existing: 0, goesOn: false};
}
