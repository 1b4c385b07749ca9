// Making a subscription: its options from namespace, token and request, and the result with what was missed.
import {CommandError, errors} from './codes.ts';
import type {Body} from './encode.ts';
import {isFields, type Fields} from './fields.ts';
import type {Hub, Session, Subscription} from './hub.ts';
import {hasHistory, type Namespace} from './options.ts';
import {may} from './permission.ts';
import {recover, type ClientInfo, type Recovery} from './stream.ts';
import {contentOf, expiryFields} from './tokens.ts';

/** What a token, or the server API, adds to the namespace's options. */
export interface Grant {
  info?: unknown;
  data?: unknown;
  expireAt?: number | undefined;
  override?: Fields | undefined;
}

/** The grant that claims carry, or undefined when their base64 is none. */
export function grantOf(claims: Fields): Grant | undefined {
  const info = contentOf(claims, 'info');
  const data = contentOf(claims, 'data');
  if (!info || !data) return undefined;
  return {info: info.value, data: data.value, override: isFields(claims['override']) ? claims['override'] : undefined};
}

/** Subscribes, and answers the result. Its `afterReply` tells the join. */
export function establish(
  hub: Hub,
  session: Session,
  target: {channel: string; namespace: Namespace; serverSide: boolean},
  request: Fields,
  grant: Grant,
): Body {
  const {channel, namespace, serverSide} = target;
  const {now} = hub.settings;
  if (grant.expireAt !== undefined && grant.expireAt * 1_000 <= now()) throw new CommandError(errors.expired);
  const options = optionsOf(namespace, session.user, request, grant);
  const recovery = options.positioned ? positionOf(hub, channel, request) : undefined;
  if (request['recover'] === true && refusesUnrecovered(request) && recovery && !recovery.recovered)
    throw new CommandError(errors.unrecoverable);

  const info: ClientInfo = {user: session.user, client: session.id};
  if (session.connInfo !== undefined) info.conn_info = session.connInfo;
  if (grant.info !== undefined) info.chan_info = grant.info;
  const subscription: Subscription = {serverSide, info, expireAt: grant.expireAt, ...options};
  hub.subscribe(session, channel, subscription);
  return {
    fields: {
      ...expiryFields(grant.expireAt, now()),
      ...(options.recoverable && {recoverable: true}),
      ...(recovery && {epoch: recovery.epoch, offset: recovery.offset, positioned: true}),
      ...(recovery?.recovered && {recovered: true}),
      ...(request['recover'] === true && {was_recovering: true}),
      ...(grant.data !== undefined && {data: grant.data}),
    },
    ...(recovery && recovery.publications.length > 0 && {publications: recovery.publications}),
    afterReply: () => hub.announceJoin(channel, subscription),
  };
}

/** Bit 2: the client would rather have an error than a subscription with a gap. */
function refusesUnrecovered({flag}: Fields): boolean {
  return typeof flag === 'number' && (flag & 2) !== 0;
}

function positionOf(hub: Hub, channel: string, request: Fields): Recovery {
  const stream = hub.streams.get(channel);
  if (request['recover'] !== true) {
    return {offset: stream.top, epoch: stream.epoch, recovered: false, publications: []};
  }
  const {offset, epoch} = request;
  const since = {offset: typeof offset === 'number' ? offset : 0, epoch: typeof epoch === 'string' ? epoch : ''};
  return recover(stream, since, hub.settings.recoveryMaxPublicationLimit);
}

/** What the namespace or the token forces, and what the request asks for and the namespace allows. */
function optionsOf(namespace: Namespace, user: string, request: Fields, {override}: Grant) {
  const forced = (name: string, fallback: boolean | undefined): boolean => {
    const entry = override?.[name];
    return isFields(entry) ? entry['value'] === true : fallback === true;
  };
  const asked = (name: string, allowed: boolean | undefined): boolean => request[name] === true && allowed === true;
  const readsHistory = may(namespace, 'History', user, true);
  const joinLeave = forced('join_leave', namespace.joinLeave);
  const recoverable =
    forced('force_recovery', namespace.forceRecovery) ||
    (hasHistory(namespace) && asked('recoverable', namespace.allowRecovery || readsHistory));
  const positioned =
    forced('force_positioning', namespace.forcePositioning) ||
    (hasHistory(namespace) && asked('positioned', namespace.allowPositioning || readsHistory));
  return {
    recoverable,
    positioned: recoverable || positioned,
    isPresent: forced('presence', namespace.presence),
    tellsJoinLeave: joinLeave,
    hearsJoinLeave:
      forced('force_push_join_leave', namespace.forcePushJoinLeave) ||
      asked('join_leave', joinLeave && may(namespace, 'Presence', user, true)),
  };
}
