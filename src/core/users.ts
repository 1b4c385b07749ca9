import {
  findUser,
  findUsers,
  insertMissingUsers,
  listUsers as listRows,
  listUsersNamed,
  lockUser,
  countUsers,
  updateDeactivated,
  upsertUser as upsertRow,
  type User,
} from '../db/users.ts';
import {insertUsers} from '../db/load.ts';
import {countUnversioned} from '../db/meta.ts';
import {inTransaction, type Tx} from '../db/transaction.ts';
import {mustBeManager} from './access.ts';
import {audit} from './audit.ts';
import type {Actor, Chat} from './chat.ts';
import {combinedByKind} from './combine.ts';
import {endConnections} from './disconnections.ts';
import {commandLine} from './command-line.ts';
import {ChatError, userDeactivated} from './errors.ts';
import type {UserId} from './ids.ts';
import {UserIdInput, UsernameInput} from './input.ts';
import {countLimit, numberedPage, offsetOf, stretchOf, type Page, type PageRequest, type Stretch} from './pages.ts';

/** The row of the user a valid token names, made at first sight. Throws user_deactivated. */
export async function provisionUser(chat: Chat, id: UserId, username: string | undefined): Promise<User> {
  const known = await lookUp(chat, 'user', id);
  if (known) return mustBeActive(known);
  return inTransaction(chat.db, async tx => {
    const row = {
      id,
      username: username ?? id.slice(0, 150),
      createdAt: chat.now(),
      deactivatedAt: null,
      erasedAt: null,
    };
    // Whoever came first has given the name.
    await insertUsers(tx, [row], false);
    return mustBeActive(await mustFind(tx, id));
  });
}

/** Every request asks for its user, so those that come together ask together. */
const lookUp = combinedByKind(async ({db}: Chat, _: 'user', ids: readonly UserId[]) => {
  const users = await findUsers(db, ids);
  return new Map(users.map(user => [user.id, user]));
});

function mustBeActive(user: User): User {
  if (user.deactivatedAt === null && user.erasedAt === null) return user;
  throw userDeactivated(user.id);
}

/** Makes the user or renames them; a deactivated user is active again. Throws user_erased. */
export async function upsertUser(
  chat: Chat,
  actor: Actor,
  id: UserId,
  username: string,
): Promise<{user: User; created: boolean}> {
  mustBeManager(actor, 'manage users');
  return inTransaction(chat.db, async tx => {
    const now = chat.now();
    const known = await lockUser(tx, id);
    const user = await upsertRow(tx, id, username, now);
    if (!user) throw erased(id);
    const created = known === undefined;
    const detail = {created, reactivated: Boolean(known?.deactivatedAt)};
    audit(chat, tx, actor, {action: 'user.upsert', user: id, detail});
    // A row that was not here and is older than this was made by somebody else a moment ago.
    if (known ? known.username !== username : user.createdAt !== now) countUnversioned(tx);
    return {user, created};
  });
}

/** From now on the user's tokens are refused, and their connections end. */
export async function deactivateUser(chat: Chat, actor: Actor, id: UserId): Promise<User> {
  mustBeManager(actor, 'manage users');
  return inTransaction(chat.db, async tx => {
    // Of two at once the second finds it done.
    const user = await lockUser(tx, id);
    if (!user) throw userNotFound(id);
    if (user.erasedAt) throw erased(id);
    if (user.deactivatedAt) return user;
    await updateDeactivated(tx, id, chat.now());
    await endConnections(chat, tx, id);
    audit(chat, tx, actor, {action: 'user.deactivate', user: id});
    return mustFind(tx, id);
  });
}

export async function getUser(chat: Chat, actor: Actor, id: UserId): Promise<User> {
  mustBeManager(actor, 'see users');
  const user = await findUser(chat.db, id);
  if (!user) throw userNotFound(id);
  return user;
}

export async function listUsers(
  chat: Chat,
  actor: Actor,
  search: string | undefined,
  page: PageRequest,
): Promise<Page<User>> {
  mustBeManager(actor, 'list users');
  const found = await listRows(chat.db, {search, ...offsetOf(page)});
  return numberedPage(page, found, await countUsers(chat.db, search, countLimit));
}

/** The same for whoever reads on and on, from behind a user. */
export async function listUsersAfter(
  chat: Chat,
  actor: Actor,
  search: string | undefined,
  {after, limit}: {after?: UserId | undefined; limit: number},
): Promise<Stretch<User>> {
  mustBeManager(actor, 'list users');
  const found = await listRows(chat.db, {search, after, limit: limit + 1});
  return stretchOf(found, limit, user => user.id);
}

/** Who is meant by an id, by an exact name, or by `id:…` or `name:…`. Throws user_ambiguous when several have the name. */
export async function findUserMeant(chat: Chat, actor: Actor, reference: string): Promise<User | undefined> {
  mustBeManager(actor, 'see users');
  const [, prefix, word = reference] = /^(?:(id|name):)?(.*)$/s.exec(reference) ?? [];
  const id = prefix === 'name' ? undefined : UserIdInput.safeParse(word).data;
  const user = id === undefined ? undefined : await findUser(chat.db, id);
  return user ?? (prefix === 'id' ? undefined : findUserNamed(chat, word));
}

async function findUserNamed(chat: Chat, username: string): Promise<User | undefined> {
  // What is no name is nobody's, and may be longer than a database looks for.
  const isName = UsernameInput.safeParse(username).success;
  const [user, other] = isName ? await listUsersNamed(chat.db, username, 2) : [];
  if (!user || !other) return user;
  throw new ChatError('user_ambiguous', `Several users are named "${username}".`, {
    hint: `Say which by id: id:${user.id}, id:${other.id}.`,
  });
}

/**
 * Makes sure that these users have rows: the primary service owns identity, so an id that is new here is made, unless
 * `existingOnly`. Answers the ids that were made. Throws user_not_found and user_erased.
 */
export async function ensureUsers(chat: Chat, tx: Tx, ids: readonly UserId[], existingOnly = false): Promise<UserId[]> {
  const made: UserId[] = [];
  // In one order for all: two changes that make the same users in different orders would wait for each other.
  const ordered = ids.toSorted();
  for (let start = 0; start < ordered.length; start += usersPerStatement) {
    const chunk = ordered.slice(start, start + usersPerStatement);
    made.push(...(await insertMissingUsers(tx, chunk, chat.now())));
    if (existingOnly && made[0] !== undefined) throw userNotFound(made[0]);
  }
  return made;
}
const usersPerStatement = 2_000;

async function mustFind(tx: Tx, id: UserId): Promise<User> {
  const user = await findUser(tx, id);
  if (!user) throw userNotFound(id);
  return user;
}

export function userNotFound(id: UserId): ChatError {
  return new ChatError('user_not_found', `There is no user ${id}.`, {
    hint: `Make one with: ${commandLine(['chatctl', 'user', 'upsert'], [id])}`,
  });
}

export function userNotNamed(username: string): ChatError {
  return new ChatError('user_not_found', `There is no user named "${username}".`, {
    hint: 'List users: chatctl user list',
  });
}

export function erased(id: UserId): ChatError {
  return new ChatError('user_erased', `The user ${id} was erased; the id cannot be used again.`, {
    hint: 'Whoever comes back needs another id.',
  });
}
