// Looking at channels, and at the node, through the server API.
import {
  mustBeKnown,
  mustHaveChannel,
  readerOf,
  refuse,
  Undecodable,
  type ApiRequest,
  type Method,
} from './api-request.ts';
import {errors} from './codes.ts';
import {historyBody, historyRequest, presenceOf, presenceStatsOf} from './commands.ts';
import {bodyText} from './encode.ts';
import {fits, shaped} from './fields.ts';
import {positionShape} from './frames.ts';
import {globPattern} from './glob.ts';
import type {Hub} from './hub.ts';
import {hasHistory, type Namespace} from './options.ts';

export const channelMethods: Record<string, Method> = {
  presence(hub, request) {
    return JSON.stringify({presence: presenceOf(hub, mustHave(hub, request, hasPresence))});
  },
  presence_stats(hub, request) {
    return JSON.stringify(presenceStatsOf(hub, mustHave(hub, request, hasPresence)));
  },
  history(hub, request) {
    if (!fits(request.fields, {since: shaped(positionShape)})) throw new Undecodable();
    const wanted = historyRequest(readerOf(request));
    return bodyText(historyBody(hub, mustHave(hub, request, hasHistory), wanted));
  },
  history_remove(hub, request) {
    hub.streams.clear(mustHave(hub, request, hasHistory));
    return '{}';
  },
  channels(hub, request) {
    const pattern = mustBePattern(readerOf(request).text('pattern') || '*');
    const found = hub.channels().filter(channel => pattern.test(channel));
    const counted = found.map(channel => [channel, {num_clients: hub.subscribers(channel).length}]);
    return JSON.stringify({channels: Object.fromEntries(counted)});
  },
  info(hub) {
    const sessions = [...hub.sessions];
    const node = {
      uid: 'chatctl-embedded',
      name: 'chatctl embedded',
      version: hub.settings.version,
      num_clients: sessions.length,
      num_users: new Set(sessions.map(session => session.user)).size,
      num_subs: sessions.reduce((sum, session) => sum + session.subscriptions.size, 0),
      num_channels: hub.channels().length,
      uptime: Math.floor(process.uptime()),
    };
    return JSON.stringify({nodes: [node]});
  },
};

function hasPresence(namespace: Namespace): boolean {
  return namespace.presence === true;
}

function mustHave(hub: Hub, request: ApiRequest, has: (namespace: Namespace) => boolean): string {
  const channel = mustHaveChannel(request);
  if (!has(mustBeKnown(hub, channel))) throw refuse(errors.notAvailable);
  return channel;
}

function mustBePattern(glob: string): RegExp {
  try {
    return globPattern(glob);
  } catch {
    throw refuse(errors.internal);
  }
}
