// WebSockets of the endpoint's server: which upgrades are taken, and how a socket carries a connection.
import type {IncomingMessage, Server} from 'node:http';
import type {Duplex} from 'node:stream';
import {WebSocketServer, type RawData, type WebSocket} from 'ws';
import {disconnects} from './codes.ts';
import type {Hub} from './hub.ts';
import {isAllowedOrigin} from './origin.ts';
import {openConnection, type Connection, type Transport} from './session.ts';
import {targetOf} from './target.ts';
import type {VerifyToken} from './tokens.ts';

/** Where clients connect. */
export const webSocketPath = '/connection/websocket';
/** Clients that do not answer our close are cut off after this. */
const closeTimeout = 5_000;

/** A message in pieces: so many, in so many reads. Each costs memory beyond its bytes, and clients send none. */
const maxFragments = 128;
const maxBufferedChunks = 1_024;

const subprotocols = ['centrifuge-json', 'centrifuge-protobuf'];

/** Takes upgrades of this server. The set holds the sockets that are open. */
export function acceptWebSockets(server: Server, hub: Hub, verify: VerifyToken): ReadonlySet<WebSocket> {
  const {settings} = hub;
  const sockets = new Set<WebSocket>();
  const options = {
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: settings.messageSizeLimit,
    maxFragments,
    maxBufferedChunks,
    closeTimeout,
    handleProtocols: (offered: Set<string>) => subprotocols.find(name => offered.has(name)) ?? false,
  };
  const acceptor = new WebSocketServer(options);
  const {connectionLimit, addressConnectionLimit, addressOf} = settings;
  const byAddress = new Map<string, number>();
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    const {path, query} = targetOf(request);
    if (path !== webSocketPath)
      return refuse(socket, '404 Not Found', 'not served by the embedded endpoint, use Centrifugo\n');
    // Centrifugo counts those that have connected; here a socket counts from its first moment, as it costs as much.
    if (connectionLimit > 0 && sockets.size >= connectionLimit) {
      settings.onFull();
      return refuse(socket, '503 Service Unavailable', '');
    }
    if (!isAllowedOrigin(request.headers.origin, settings.allowedOrigins))
      return refuse(socket, '403 Forbidden', 'Forbidden\n');
    const address = addressOf(request);
    const ofAddress = byAddress.get(address) ?? 0;
    if (addressConnectionLimit > 0 && ofAddress >= addressConnectionLimit)
      return refuse(socket, '429 Too Many Requests', 'too many connections from your address\n');
    acceptor.handleUpgrade(request, socket, head, webSocket => {
      sockets.add(webSocket);
      byAddress.set(address, ofAddress + 1);
      webSocket.on('close', () => {
        sockets.delete(webSocket);
        const left = (byAddress.get(address) ?? 1) - 1;
        if (left > 0) byAddress.set(address, left);
        else byAddress.delete(address);
      });
      const binary = [query.get('format'), query.get('cf_protocol')].includes('protobuf');
      const transport = transportOf(webSocket, query.get('cf_ws_frame_ping_pong') === 'true');
      const connection = openConnection(hub, verify, transport);
      attach(connection, webSocket);
      if (binary || webSocket.protocol === 'centrifuge-protobuf')
        connection.disconnect(disconnects.inappropriateProtocol);
    });
  });
  return sockets;
}

// Nobody reads this socket any more, so that it would stay for as long as its peer likes.
function refuse(socket: Duplex, status: string, body: string): void {
  socket.once('finish', () => socket.destroy());
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

function attach(connection: Connection, socket: WebSocket): void {
  socket.on('message', (data: RawData) => connection.receive(textOf(data)));
  socket.on('close', () => connection.closed());
  socket.on('pong', connection.ponged);
  // Errors of the socket, such as a frame that is too large, end in its close.
  socket.on('error', () => undefined);
}

function textOf(data: RawData): string {
  if (Array.isArray(data)) return Buffer.concat(data).toString();
  return Buffer.from(data as Buffer).toString();
}

function transportOf(socket: WebSocket, pingsByFrame: boolean): Transport {
  return {
    send: (text, encoded) => socket.send(encoded ?? text, {binary: false}),
    buffered: () => socket.bufferedAmount,
    ping: pingsByFrame ? () => socket.ping() : undefined,
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
  };
}
