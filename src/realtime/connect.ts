// The first command: who connects, until when, and what the token subscribes to by itself.
import {badRequest, CommandError, disconnects, DisconnectError, errors} from './codes.ts';
import {tokenChannels} from './commands.ts';
import {bodyText, type Body} from './encode.ts';
import {fieldReader, isFields, type Fields} from './fields.ts';
import type {Hub, Session} from './hub.ts';
import {namespaceOf, type Settings} from './options.ts';
import {isAscii, maySubscribe} from './permission.ts';
import {establish, grantOf, type Grant} from './subscription.ts';
import {contentOf, expiryFields, issuedAt, type VerifyToken} from './tokens.ts';

/** Connects the session, and answers the reply's text and what follows it. */
export function connect(
  hub: Hub,
  verify: VerifyToken,
  session: Session,
  id: number,
  request: Fields,
): {text: string; afterReply: () => void} {
  const {settings} = hub;
  const read = fieldReader(request, badRequest);
  const token = read.text('token') ?? '';
  if (token === '' && !settings.allowAnonymousConnectWithoutToken) throw badRequest();
  const {claims, user, expireAt} = token === '' ? nobody : mustBeValid(verify, token);
  const wanted = read.fields('subs') ?? {};
  const granted = grantedChannels(hub, claims, wanted, user);
  const info = contentOf(claims, 'info');
  if (!info) throw new CommandError(errors.internal);
  if (expireAt !== undefined && expireAt * 1_000 <= settings.now()) throw new CommandError(errors.expired);
  const revoked = hub.revoked.reason(user, issuedAt(claims));
  if (revoked) throw new DisconnectError(revoked);
  const limit = settings.userConnectionLimit;
  if (limit > 0 && user !== '' && hub.sessionsOf(user).length >= limit) {
    throw new DisconnectError(disconnects.connectionLimit);
  }

  session.user = user;
  session.connInfo = info.value;
  hub.add(session);
  session.expireAt(expireAt);
  const subs = [...granted].map(
    ([channel, grant]) => [channel, join(hub, session, channel, wanted[channel], grant)] as const,
  );
  const fields = {
    client: session.id,
    version: `${settings.version} OSS`,
    ...expiryFields(expireAt, settings.now()),
    ...(settings.connectIncludeServerTime && {time: settings.now()}),
    ...(!session.pingsByFrame && pingFields(settings)),
  };
  return {text: replyText(id, fields, subs), afterReply: () => subs.forEach(([, body]) => body.afterReply?.())};
}

function pingFields({pingIntervalMs, pongTimeoutMs}: Settings) {
  return {ping: Math.floor(pingIntervalMs / 1_000), ...(pongTimeoutMs > 0 && {pong: true})};
}

const nobody = {claims: {}, user: '', expireAt: undefined};

function mustBeValid(verify: VerifyToken, token: string) {
  const verified = verify(token, 'connection');
  if (verified.kind === 'expired') throw new CommandError(errors.tokenExpired);
  if (verified.kind === 'invalid' || verified.claims['channel']) {
    throw new DisconnectError(disconnects.invalidToken);
  }
  return verified;
}

/** Channels that the token names, and those that the request names and the user may subscribe to anyway. */
function grantedChannels(hub: Hub, claims: Fields, wanted: Fields, user: string): Map<string, Grant> {
  const granted = grantedByToken(hub, claims);
  const {personalChannelNamespace: personal} = hub.settings;
  if (personal !== undefined && user !== '') granted.set(`${personal === '' ? '' : `${personal}:`}#${user}`, {});
  for (const channel of Object.keys(wanted)) {
    const namespace = namespaceOf(hub.settings, channel);
    if (!namespace) throw badRequest();
    const isAllowed = channel !== '' && isAscii(channel) && maySubscribe(namespace, user, channel);
    if (isAllowed && !granted.has(channel)) granted.set(channel, {});
  }
  if (granted.size > hub.settings.channelLimit) throw new DisconnectError(disconnects.channelLimit);
  return granted;
}

function grantedByToken(hub: Hub, claims: Fields): Map<string, Grant> {
  const subs = isFields(claims['subs']) ? claims['subs'] : {};
  const granted = new Map<string, Grant>();
  for (const channel of tokenChannels(claims)) {
    if (!namespaceOf(hub.settings, channel)) throw new CommandError(errors.unknownChannel);
    const own = Object.hasOwn(subs, channel) ? subs[channel] : undefined;
    const grant = isFields(own) ? grantOf(own) : {};
    if (!grant) throw new DisconnectError(disconnects.invalidToken);
    granted.set(channel, grant);
  }
  return granted;
}

function join(hub: Hub, session: Session, channel: string, request: unknown, grant: Grant): Body {
  const namespace = namespaceOf(hub.settings, channel);
  if (!namespace) throw new CommandError(errors.unknownChannel);
  return establish(hub, session, {channel, namespace, serverSide: true}, isFields(request) ? request : {}, grant);
}

function replyText(id: number, fields: object, subs: readonly (readonly [string, Body])[]): string {
  const text = JSON.stringify(fields);
  if (subs.length === 0) return `{"id":${id},"connect":${text}}`;
  const each = subs.map(([channel, body]) => `${JSON.stringify(channel)}:${bodyText(body)}`);
  return `{"id":${id},"connect":${text.slice(0, -1)},"subs":{${each.join(',')}}}}`;
}
