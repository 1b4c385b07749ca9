// What a rehearsed write would have done: to what, which rows, who is told and of how much, and how the API would be
// asked for the same.
import type {Rehearsed, RowChanges} from '../db/rehearsal.ts';
import type {StoredEvent} from '../core/chat.ts';
import {quotedWord} from '../core/command-line.ts';
import {fingerprint, type Target} from './target.ts';

/** The request of the API that does what a command does. */
export interface ApiRequest {
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  body?: object;
}

export interface Plan {
  target: Target;
  rows: Rehearsed;
  events: {type: string; channels: number; bytes: number}[];
  curl: string[];
}

/** So many events and requests are told one by one; of more there is a sum. */
const told = 5;

export function planOf(
  target: Target,
  rows: Rehearsed,
  events: Plan['events'],
  requests: readonly ApiRequest[],
  apiUrl: string,
): Plan {
  return {
    target,
    rows,
    events,
    curl: requests.map(request => curl(request, apiUrl)),
  };
}

/** There may be one for each message of a person: its body is not kept. */
export function plannedEvent({type, receivers, body}: StoredEvent): Plan['events'][number] {
  return {type, channels: receivers, bytes: bytesOf(type, body) * receivers};
}

/** What goes to one channel. */
export function bytesOf(type: string, body: object): number {
  return Buffer.byteLength(JSON.stringify({type, body}));
}

function curl({method, path, body}: ApiRequest, apiUrl: string): string {
  const auth = '-H "Authorization: Bearer $(chatctl token service)"';
  const json = body === undefined ? '' : ` -H 'Content-Type: application/json' -d ${quotedWord(JSON.stringify(body))}`;
  return `curl -X ${method} ${auth}${json} ${quotedWord(`${apiUrl}${path}`)}`;
}

/** The plan in lines for a person. */
export function planLines(plan: Plan): string[] {
  return ['Dry run: nothing was changed.', `  target  ${fingerprint(plan.target)}`, ...changeLines(plan)];
}

/** The same without its target, which a question tells of every severe change. */
export function changeLines({rows, events, curl: calls}: Plan): string[] {
  const changes = Object.entries(rows).map(([name, change]) => `${name} ${changeText(change)}`);
  return [
    `  rows    ${changes.join(', ') || 'none'}`,
    ...(events.length > told ? [`  events  ${sumText(events)}`] : events.map(event => `  event   ${eventText(event)}`)),
    ...calls.slice(0, told).map(call => `  same as ${call}`),
    ...(calls.length > told ? [`  and ${calls.length - told} more calls`] : []),
  ];
}

function changeText({inserted, updated, deleted}: RowChanges): string {
  const parts = [inserted > 0 && `+${inserted}`, updated > 0 && `~${updated}`, deleted > 0 && `-${deleted}`];
  return parts.filter(Boolean).join(' ');
}

function eventText({type, channels, bytes}: Plan['events'][number]): string {
  return `${type} to ${channels} user(s), about ${size(bytes)}`;
}

function sumText(events: Plan['events']): string {
  const sum = (pick: (event: Plan['events'][number]) => number) =>
    events.reduce((total, each) => total + pick(each), 0);
  return `${events.length}, to ${sum(each => each.channels)} receivers in all, about ${size(sum(each => each.bytes))}`;
}

function size(bytes: number): string {
  if (bytes < 1_000) return `${bytes} bytes`;
  return bytes < 1_000_000 ? `${(bytes / 1_000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
