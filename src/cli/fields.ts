// The fields of what commands print, as `--fields` names them: a path to each value, `x.*` where what is below is of no
// fixed shape. Those of a thing are those of its JSON, which tests hold them to.
import {ChatError} from '../core/errors.ts';
import {didYouMean} from '../core/nearest.ts';

const under = (thing: string, fields: readonly string[]) => fields.map(field => `${thing}.${field}`);

const person = ['id', 'username'];
const lastMessage = ['id', 'content', ...under('user', person), 'created_at'];
export const userFields = [...person, 'created_at', 'deactivated_at', 'erased_at'];
export const memberFields = [...under('user', person), 'role', 'joined_at'];
export const roomFields = [
  'id',
  'name',
  'version',
  'bumped_at',
  'member_count',
  ...under('last_message', lastMessage),
  'key',
  'visibility',
  'created_at',
  'archived_at',
];
export const messageFields = [
  'id',
  'content',
  ...under('user', person),
  ...under('room', ['id', 'version', 'bumped_at']),
  'created_at',
  'seq',
  'client_id',
  'deleted_at',
];

export const statusFields = [
  ...under('target', ['driver', 'host', 'database']),
  'schema',
  ...under('counts', ['rooms', 'users', 'members', 'messages']),
  ...under('outbox', ['depth', 'oldest_age_ms', 'parked']),
  ...under('last_message', ['id', 'room', 'created_at']),
  'server',
];

/** Whom a write tells, and of what. */
export const eventFields = under('event', ['type', 'channels', 'mode', 'state', 'outbox_id', 'bytes', 'data.*']);

/** What came of each of several things. */
export const resultFields = (...of: string[]) => [...of, 'ok', 'error.code', 'error.message'];

export const postedFields = [...resultFields('line'), ...under('message', messageFields), ...eventFields];

/** As a person is told of them. */
export function fieldNames(paths: readonly string[]): string[] {
  return paths.map(path => path.replace(/\.\*$/, ''));
}

/** Throws invalid_input for one that nothing which is printed has, whatever there is to print. */
export function mustBeFields(wanted: readonly string[], known: readonly string[]): void {
  const wrong = wanted.find(field => !known.some(path => isAt(field, path)));
  if (wrong === undefined) return;
  const names = fieldNames(known);
  const hint = [didYouMean(wrong, names), `The fields are ${names.join(', ')}.`].filter(Boolean).join('\n');
  throw new ChatError('invalid_input', `There is no field ${wrong} here.`, {hint});
}

/** The value itself, what holds it, or what is below one of no fixed shape. */
function isAt(field: string, path: string): boolean {
  return field === path || path.startsWith(`${field}.`) || (path.endsWith('.*') && field.startsWith(path.slice(0, -1)));
}
