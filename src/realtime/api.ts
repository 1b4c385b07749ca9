// Centrifugo's server API: its methods by name, and several of them in one request. The HTTP around it is in api-http.
import {channelMethods} from './api-channels.ts';
import {publishMethods} from './api-publish.ts';
import {badRequest, notFound, readerOf, Undecodable, type ApiRequest, type Method} from './api-request.ts';
import {userMethods} from './api-users.ts';
import {CommandError} from './codes.ts';
import {isFields} from './fields.ts';
import type {Hub} from './hub.ts';
import {rawEntries, rawField} from './raw.ts';

const methods = new Map<string, Method>(
  Object.entries({
    ...publishMethods,
    ...userMethods,
    ...channelMethods,
    rpc(_: Hub, request: ApiRequest) {
      throw readerOf(request).text('method') ? notFound() : badRequest();
    },
    batch,
  }),
);

/** The method of this name, or undefined when there is none. */
export function findMethod(name: string): Method | undefined {
  return methods.get(name);
}

/** A command with several methods is the first of these. */
const batchOrder =
  'publish broadcast subscribe unsubscribe disconnect history history_remove presence presence_stats info rpc refresh channels'.split(
    ' ',
  );

function batch(hub: Hub, {fields, json}: ApiRequest): string {
  const commands = fields['commands'] ?? [];
  if (!Array.isArray(commands)) throw new Undecodable();
  if (commands.length === 0) return '{}';
  const texts = rawEntries(rawField(json, 'commands') ?? '[]');
  const replies = commands.map((command: unknown, i) => batchReply(hub, command, texts[i]?.text ?? '{}'));
  return `{"replies":[${replies.join(',')}]}`;
}

function batchReply(hub: Hub, command: unknown, json: string): string {
  try {
    if (command === null) throw badRequest();
    if (!isFields(command)) throw new Undecodable();
    const name = batchOrder.find(each => command[each] !== undefined && command[each] !== null);
    const fields = name === undefined ? undefined : command[name];
    if (name === undefined) throw notFound();
    if (!isFields(fields)) throw new Undecodable();
    return `{"${name}":${methods.get(name)?.(hub, {fields, json: rawField(json, name) ?? '{}'}) ?? '{}'}}`;
  } catch (error) {
    if (error instanceof CommandError) return JSON.stringify({error: error.error});
    throw error;
  }
}
