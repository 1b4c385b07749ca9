// Centrifugo's server API: what a method does with its request. The HTTP around it is in api-http.
import {CommandError, disconnects, errors} from './codes.ts';
import {historyBody, historyRequest, presenceOf, presenceStatsOf} from './commands.ts';
import {bodyText, push} from './encode.ts';
import {fieldReader, isFields, type Fields} from './fields.ts';
import {prepare, type Hub, type PublishRequest, type PublishResult, type Session} from './hub.ts';
import {hasHistory, namespaceOf, type Namespace} from './options.ts';
import {establish, grantOf} from './subscribe.ts';
import {expiryFields} from './tokens.ts';

/** An error of the server API; its codes are numbered like the client's, without `temporary`. */
function refuse(error: {code: number; message: string}): CommandError {
  return new CommandError({code: error.code, message: error.message});
}
const badRequest = () => refuse(errors.badRequest);
/** A request whose fields have the wrong types is not a request at all. */
export class Undecodable extends Error {}
const undecodable = () => new Undecodable();

type Method = (hub: Hub, request: Fields) => string;

/** Answers a method's result as JSON text, or undefined when there is no such method. Throws CommandError. */
export function callMethod(hub: Hub, name: string, request: Fields): string | undefined {
  return Object.hasOwn(methods, name) ? methods[name]?.(hub, request) : undefined;
}

const methods: Record<string, Method> = {
  publish(hub, request) {
    const channel = fieldReader(request, undecodable).text('channel') ?? '';
    if (channel === '') throw badRequest();
    const result = hub.publish(channel, prepare(mustHavePublication(request)));
    if (result.error) throw refuse(result.error);
    return JSON.stringify(result.position);
  },
  broadcast(hub, request) {
    const channels = fieldReader(request, undecodable).texts('channels') ?? [];
    if (channels.length === 0) throw badRequest();
    return `{"responses":[${broadcast(hub, channels, request).map(responseText).join(',')}]}`;
  },
  subscribe(hub, request) {
    const {user, channel, read} = userAndChannel(request);
    const namespace = mustBeKnown(hub, channel);
    if (read.fields('recover_since')) throw badRequest();
    const grant = {...grantOf(request), expireAt: read.whole('expire_at') || undefined};
    for (const session of targets(hub, user, request)) {
      const again = session.subscriptions.has(channel);
      if (again) hub.unsubscribe(session, channel);
      const {fields} = establish(hub, session, channel, namespace, {}, grant, true);
      session.send(push(channel, 'subscribe', fields));
    }
    return '{}';
  },
  unsubscribe(hub, request) {
    const {user, channel} = userAndChannel(request);
    for (const session of targets(hub, user, request)) {
      hub.unsubscribe(session, channel);
      session.send(push(channel, 'unsubscribe', {code: 2000, reason: 'server unsubscribe'}));
    }
    return '{}';
  },
  disconnect(hub, request) {
    const read = fieldReader(request, undecodable);
    const custom = read.fields('disconnect');
    const disconnect = custom ? mustBeDisconnect(custom) : disconnects.forced;
    const spared = read.texts('whitelist') ?? [];
    const ended = targets(hub, mustHaveUser(request), request).filter(session => !spared.includes(session.id));
    // The answer comes before the connections close.
    setImmediate(() => ended.forEach(session => session.disconnect(disconnect)));
    return '{}';
  },
  refresh(hub, request) {
    const read = fieldReader(request, undecodable);
    const expireAt = read.whole('expire_at');
    const now = hub.settings.now();
    const over = read.flag('expired') || (expireAt !== undefined && expireAt > 0 && expireAt * 1_000 <= now);
    for (const session of targets(hub, mustHaveUser(request), request)) {
      if (over) {
        session.disconnect(disconnects.expired);
        continue;
      }
      session.expireAt(expireAt || undefined);
      session.send(push(undefined, 'refresh', expiryFields(expireAt || undefined, now)));
    }
    return '{}';
  },
  presence(hub, request) {
    return JSON.stringify({presence: presenceOf(hub, mustHavePresence(hub, request))});
  },
  presence_stats(hub, request) {
    return JSON.stringify(presenceStatsOf(hub, mustHavePresence(hub, request)));
  },
  history(hub, request) {
    return bodyText(historyBody(hub, mustHaveHistory(hub, request), historyRequest(request, undecodable)));
  },
  history_remove(hub, request) {
    hub.streams.clear(mustHaveHistory(hub, request));
    return '{}';
  },
  channels(hub, request) {
    const pattern = glob(fieldReader(request, undecodable).text('pattern') ?? '');
    const found = hub.channels().filter(channel => pattern.test(channel));
    const counted = found.map(channel => [channel, {num_clients: hub.subscribers(channel).length}]);
    return JSON.stringify({channels: Object.fromEntries(counted)});
  },
  info(hub) {
    const node = {
      uid: nodeId,
      name: 'chatctl embedded',
      version: hub.settings.version,
      num_clients: hub.sessions.size,
      num_users: new Set([...hub.sessions].map(session => session.user)).size,
      num_subs: [...hub.sessions].reduce((sum, session) => sum + session.subscriptions.size, 0),
      num_channels: hub.channels().length,
      uptime: Math.floor(process.uptime()),
    };
    return JSON.stringify({nodes: [node]});
  },
  rpc() {
    throw new CommandError({code: 104, message: 'method not found'});
  },
  batch(hub, request) {
    const {commands} = request;
    if (commands === undefined) return '{}';
    if (!Array.isArray(commands)) throw undecodable();
    return `{"replies":[${commands.map(command => batchReply(hub, command)).join(',')}]}`;
  },
};

const nodeId = 'chatctl-embedded';
const batchMethods =
  'publish broadcast subscribe unsubscribe disconnect history history_remove presence presence_stats info rpc refresh channels'.split(
    ' ',
  );

function batchReply(hub: Hub, command: unknown): string {
  try {
    if (command === null) throw badRequest();
    if (!isFields(command)) throw undecodable();
    const name = batchMethods.find(each => command[each] !== undefined);
    const request = name === undefined ? undefined : command[name];
    if (name === undefined) throw new CommandError({code: 104, message: 'method not found'});
    if (!isFields(request)) throw undecodable();
    return `{"${name}":${callMethod(hub, name, request) ?? '{}'}}`;
  } catch (error) {
    if (error instanceof CommandError) return JSON.stringify({error: error.error});
    throw error;
  }
}

function broadcast(hub: Hub, channels: readonly string[], request: Fields): PublishResult[] {
  const wanted = publicationOf(request);
  const publication = wanted && prepare(wanted);
  return channels.map(channel => {
    if (channel === '' || !publication) return {error: errors.badRequest};
    return hub.publish(channel, publication);
  });
}

function responseText(result: PublishResult): string {
  return JSON.stringify(
    result.error ? {error: {code: result.error.code, message: result.error.message}} : {result: result.position},
  );
}

function mustHavePublication(request: Fields): PublishRequest {
  const publication = publicationOf(request);
  if (!publication) throw badRequest();
  return publication;
}

function publicationOf(request: Fields): PublishRequest | undefined {
  const read = fieldReader(request, undecodable);
  const data = read.json('data') ?? decoded(read.text('b64data'));
  if (data === undefined) return undefined;
  const tags = read.fields('tags');
  if (tags && !Object.values(tags).every(value => typeof value === 'string')) throw undecodable();
  return {
    data,
    idempotencyKey: read.text('idempotency_key') || undefined,
    skipHistory: read.flag('skip_history'),
    tags: tags && Object.keys(tags).length > 0 ? (tags as Record<string, string>) : undefined,
    version: read.whole('version'),
    versionEpoch: read.text('version_epoch'),
  };
}

/** base64 of JSON, as one line of JSON. */
function decoded(base64: string | undefined): string | undefined {
  if (!base64) return undefined;
  try {
    return JSON.stringify(JSON.parse(Buffer.from(base64, 'base64').toString()));
  } catch {
    throw badRequest();
  }
}

function userAndChannel(request: Fields) {
  const read = fieldReader(request, undecodable);
  const channel = read.text('channel') ?? '';
  if (channel === '') throw badRequest();
  return {user: mustHaveUser(request), channel, read};
}

/** The empty user is that of anonymous connections; an absent one is the same. */
function mustHaveUser(request: Fields): string {
  return fieldReader(request, undecodable).text('user') ?? '';
}

function targets(hub: Hub, user: string, request: Fields): Session[] {
  const client = fieldReader(request, undecodable).text('client') ?? '';
  return hub.sessionsOf(user).filter(session => client === '' || session.id === client);
}

/** What a close frame can carry beside its code. */
const maxReasonBytes = 123;

function mustBeDisconnect(fields: Fields) {
  const read = fieldReader(fields, undecodable);
  const code = read.whole('code') ?? 0;
  const reason = read.text('reason') ?? '';
  const fits = code >= 3_000 && code <= 4_999 && Buffer.byteLength(reason) <= maxReasonBytes;
  if (!fits) throw badRequest();
  return {code, reason};
}

function mustBeKnown(hub: Hub, channel: string): Namespace {
  const namespace = namespaceOf(hub.settings, channel);
  if (!namespace) throw refuse(errors.unknownChannel);
  return namespace;
}

function mustHavePresence(hub: Hub, request: Fields): string {
  return mustHave(hub, request, namespace => namespace.presence === true);
}

function mustHaveHistory(hub: Hub, request: Fields): string {
  return mustHave(hub, request, hasHistory);
}

function mustHave(hub: Hub, request: Fields, has: (namespace: Namespace) => boolean): string {
  const channel = fieldReader(request, undecodable).text('channel') ?? '';
  if (channel === '') throw badRequest();
  if (!has(mustBeKnown(hub, channel))) throw refuse(errors.notAvailable);
  return channel;
}

/** `*` stands for anything and `?` for one character; an empty pattern for every channel. */
function glob(pattern: string): RegExp {
  if (pattern === '') return /^/;
  const parts = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  return new RegExp(`^${parts}$`);
}
