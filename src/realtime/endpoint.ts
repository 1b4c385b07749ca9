// The embedded real-time endpoint: Centrifugo's client protocol (JSON over WebSocket) and the part of its server API
// that chatctl uses, in this process and in memory. For development and for an installation of one process.
import {createServer, type Server} from 'node:http';
import type {AddressInfo, Socket} from 'node:net';
import type {WebSocket} from 'ws';
import type {Broadcast, BroadcastResult, Broker} from '../core/broker.ts';
import {serveApi} from './api-http.ts';
import {disconnects} from './codes.ts';
import {createHub, prepare, type Hub} from './hub.ts';
import {mustBeConsistent, withDefaults, type EndpointOptions, type Settings} from './options.ts';
import {endExpiredSubscriptions} from './expiry.ts';
import {tokenVerifier, type VerifyToken} from './tokens.ts';
import {acceptWebSockets, webSocketPath} from './websockets.ts';

export interface Endpoint {
  port: number;
  /** Where clients connect. */
  url: string;
  /** The same publishing as over HTTP, without the way there. */
  broker: Broker;
  stats(): {clients: number; subscriptions: number; channels: number; streams: number};
  /** Sends every client away with 3001, so that they come back, and stops listening. */
  close(): Promise<void>;
}

const sweepIntervalMs = 100;
/** From the first byte of a request to the end of its headers, and to its end. */
const timeLimits = {headersTimeout: 10_000, requestTimeout: 30_000, connectionsCheckingInterval: 5_000};
/** Peers that do not go by themselves are cut off. */
const closeLimitMs = 1_000;

/** Starts listening. Rejects with the error of the listening socket, such as EADDRINUSE. */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const settings = withDefaults(options);
  mustBeConsistent(settings);
  const hub = createHub(settings);
  const verify = verifierOf(settings);
  const server = createServer(timeLimits, (request, response) => {
    serveApi(hub, request, response).catch(() => response.destroy());
  });
  const {connectionLimit, otherConnectionLimit} = settings;
  if (connectionLimit > 0) server.maxConnections = connectionLimit + otherConnectionLimit;
  server.on('drop', settings.onFull);
  const sockets = acceptWebSockets(server, hub, verify);
  const peers = trackPeers(server);
  await listen(server, settings);
  const sweep = setInterval(() => hub.streams.sweep(), sweepIntervalMs);
  const expire = setInterval(() => {
    for (const session of hub.sessions) endExpiredSubscriptions(hub, session);
  }, settings.presenceUpdateIntervalMs / 2);
  const {port} = server.address() as AddressInfo;

  return {
    port,
    url: `ws://${settings.host}:${port}${webSocketPath}`,
    broker: brokerOf(hub),
    stats: () => ({
      clients: sockets.size,
      subscriptions: [...hub.sessions].reduce((sum, session) => sum + session.subscriptions.size, 0),
      channels: hub.channels().length,
      streams: hub.streams.count(),
    }),
    async close() {
      clearInterval(sweep);
      clearInterval(expire);
      for (const session of hub.sessions) session.disconnect(disconnects.shutdown);
      await closeServer(server, sockets, peers);
    },
  };
}

function verifierOf({tokenSecret, previousTokenSecret, subscriptionTokenSecret, now}: Settings): VerifyToken {
  const secrets = [tokenSecret, previousTokenSecret].filter(secret => secret !== undefined);
  const connection = tokenVerifier(secrets, now);
  const subscription =
    subscriptionTokenSecret === undefined ? connection : tokenVerifier([subscriptionTokenSecret], now);
  return (token, purpose) => (purpose === 'connection' ? connection(token) : subscription(token));
}

/** Publishing does not wait for anything, so that it goes in small portions between which others get their turn. */
const channelsPerTurn = 100;

function brokerOf(hub: Hub): Broker {
  return {
    name: 'embedded',
    channelsPerRequest: channelsPerTurn,
    broadcast: broadcasts => Promise.resolve(broadcasts.map(each => ({errors: broadcast(hub, each)}))),
    disconnect(users, why) {
      for (const user of users) {
        hub.revoked.add(user, why, hub.settings.now());
        for (const session of hub.sessionsOf(user)) session.disconnect(why);
      }
      return Promise.resolve(users.map(() => undefined));
    },
    clear(channels) {
      for (const channel of channels) hub.streams.clear(channel);
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
}

function broadcast(hub: Hub, {channels, data, idempotencyKey}: Broadcast): BroadcastResult['errors'] {
  const prepared = prepare({data, idempotencyKey});
  const errors: BroadcastResult['errors'][number][] = [];
  for (const channel of channels) {
    const {error} = hub.publish(channel, prepared);
    if (error) errors.push({channel, error});
  }
  return errors;
}

function listen(server: Server, {host, port}: Settings): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

// The server forgets a socket once it is upgraded, also one that never became a WebSocket.
function trackPeers(server: Server): ReadonlySet<Socket> {
  const peers = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    peers.add(socket);
    socket.once('close', () => peers.delete(socket));
  });
  return peers;
}

async function closeServer(server: Server, sockets: ReadonlySet<WebSocket>, peers: ReadonlySet<Socket>): Promise<void> {
  const done = [
    new Promise<void>(resolve => {
      server.close(() => resolve());
    }),
    ...Array.from(sockets, gone),
  ];
  server.closeIdleConnections();
  for (const socket of sockets) socket.close(disconnects.shutdown.code, disconnects.shutdown.reason);
  const cut = setTimeout(() => {
    for (const peer of peers) peer.destroy();
  }, closeLimitMs);
  await Promise.all(done);
  clearTimeout(cut);
}

function gone(socket: WebSocket): Promise<void> {
  return new Promise(resolve => {
    socket.once('close', () => resolve());
  });
}
