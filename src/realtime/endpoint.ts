// The embedded real-time endpoint: Centrifugo's client protocol (JSON over WebSocket) and the part of its server API
// that chatctl uses, in this process and in memory. For development and for an installation of one process.
import {createServer, type IncomingMessage, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {Duplex} from 'node:stream';
import {WebSocketServer, type RawData, type WebSocket} from 'ws';
import type {Broadcast, BroadcastResult, Broker} from '../core/broker.ts';
import {serveApi} from './api-http.ts';
import {disconnects} from './codes.ts';
import {createHub, prepare, type Hub} from './hub.ts';
import {withDefaults, type EndpointOptions, type Settings} from './options.ts';
import {isAllowedOrigin} from './origin.ts';
import {endExpiredSubscriptions, openConnection, type Transport} from './session.ts';
import {tokenVerifier, type VerifyToken} from './tokens.ts';

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
/** Clients that do not answer the close are cut off. */
const closeLimitMs = 1_000;

/** Starts listening. Rejects with the error of the listening socket, such as EADDRINUSE. */
export async function startEndpoint(options: EndpointOptions): Promise<Endpoint> {
  const settings = withDefaults(options);
  const hub = createHub(settings);
  const secrets = [settings.tokenSecret, settings.previousTokenSecret].filter(secret => secret !== undefined);
  const verify = tokenVerifier(secrets, settings.now);
  const sockets = new Set<WebSocket>();
  const server = createServer((request, response) => {
    serveApi(hub, request, response).catch(() => response.destroy());
  });
  acceptWebSockets(server, hub, verify, sockets);
  await listen(server, settings);
  const sweep = setInterval(() => hub.streams.sweep(), sweepIntervalMs);
  const expire = setInterval(() => {
    for (const session of hub.sessions) endExpiredSubscriptions(hub, session);
  }, settings.presenceUpdateIntervalMs / 2);
  const {port} = server.address() as AddressInfo;

  return {
    port,
    url: `ws://${settings.host}:${port}/connection/websocket`,
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
      await closeServer(server, sockets);
    },
  };
}

/** Publishing does not wait for anything, so that it goes in small portions between which others get their turn. */
const channelsPerTurn = 100;

function brokerOf(hub: Hub): Broker {
  return {
    name: 'embedded',
    channelsPerRequest: channelsPerTurn,
    broadcast: broadcasts => Promise.resolve(broadcasts.map(each => ({errors: broadcast(hub, each)}))),
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

function acceptWebSockets(server: Server, hub: Hub, verify: VerifyToken, sockets: Set<WebSocket>): void {
  const {settings} = hub;
  const acceptor = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: settings.messageSizeLimit,
    handleProtocols: offered => [...offered].find(name => name.startsWith('centrifuge-')) ?? false,
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const {pathname, searchParams} = new URL(request.url ?? '/', 'http://localhost');
    if (pathname !== '/connection/websocket')
      return refuse(socket, '404 Not Found', 'not served by the embedded endpoint, use Centrifugo\n');
    if (!isAllowedOrigin(request.headers.origin, settings.allowedOrigins))
      return refuse(socket, '403 Forbidden', 'Forbidden\n');
    acceptor.handleUpgrade(request, socket, head, webSocket => {
      sockets.add(webSocket);
      webSocket.on('close', () => sockets.delete(webSocket));
      const binary = [searchParams.get('format'), searchParams.get('cf_protocol')].includes('protobuf');
      attach(hub, verify, webSocket, binary || webSocket.protocol === 'centrifuge-protobuf');
    });
  });
}

function refuse(socket: Duplex, status: string, body: string): void {
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function attach(hub: Hub, verify: VerifyToken, socket: WebSocket, wantsProtobuf: boolean): void {
  const connection = openConnection(hub, verify, transportOf(socket));
  socket.on('message', (data: RawData) => connection.receive(textOf(data)));
  socket.on('close', () => connection.closed());
  // Errors of the socket, such as a frame that is too large, end in its close.
  socket.on('error', () => undefined);
  if (wantsProtobuf) connection.disconnect(disconnects.inappropriateProtocol);
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return Buffer.from(data as Buffer).toString();
}

function transportOf(socket: WebSocket): Transport {
  return {
    send: (text, encoded) => socket.send(encoded ?? text, {binary: false}),
    buffered: () => socket.bufferedAmount,
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
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

async function closeServer(server: Server, sockets: Set<WebSocket>): Promise<void> {
  const done = new Promise<void>(resolve => server.close(() => resolve()));
  server.closeIdleConnections();
  for (const socket of sockets) socket.close(disconnects.shutdown.code, disconnects.shutdown.reason);
  const cut = setTimeout(() => {
    for (const socket of sockets) socket.terminate();
    server.closeAllConnections();
  }, closeLimitMs);
  await done;
  clearTimeout(cut);
}
