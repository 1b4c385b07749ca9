// What a namespace lets a client do without a token.
import {CommandError, errors} from './codes.ts';
import type {Hub, Session} from './hub.ts';
import {namespaceOf, type Namespace} from './options.ts';

/** The namespace of a channel that clients may name. */
export function mustBeKnown(hub: Hub, channel: string): Namespace {
  const namespace = namespaceOf(hub.settings, channel);
  if (!namespace) throw new CommandError(errors.unknownChannel);
  if (!isAscii(channel)) throw new CommandError(errors.badRequest);
  return namespace;
}

/** Clients name channels in ASCII only; the server API may use anything. */
export function isAscii(channel: string): boolean {
  return /^[\x00-\x7F]*$/.test(channel);
}

/** Whether this user may subscribe without a token. */
export function maySubscribe(namespace: Namespace, user: string, channel: string): boolean {
  if (channel.startsWith('$')) return false;
  const limited = namespace.allowUserLimitedChannels ? channel.split('#').slice(1).at(-1) : undefined;
  if (limited !== undefined) return limited.split(',').includes(user);
  return namespace.allowSubscribeForClient === true && (user !== '' || namespace.allowSubscribeForAnonymous === true);
}

type Right = 'Publish' | 'Presence' | 'History';

/** A right is given to everybody or to those who are subscribed, and to anonymous connections only if said so. */
export function may(namespace: Namespace, right: Right, user: string, isSubscribed: boolean): boolean {
  const forAll = namespace[`allow${right}ForClient`] === true;
  const forSubscriber = namespace[`allow${right}ForSubscriber`] === true && isSubscribed;
  return (forAll || forSubscriber) && (user !== '' || namespace[`allow${right}ForAnonymous`] === true);
}

export function mustMay(namespace: Namespace, right: Right, session: Session, channel: string): void {
  const allowed = may(namespace, right, session.user, session.subscriptions.has(channel));
  if (!allowed) throw new CommandError(errors.permissionDenied);
}
