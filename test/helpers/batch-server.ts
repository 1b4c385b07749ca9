import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import type {ExecutionContext} from 'ava';
import {centrifugoBroker} from '../../src/delivery/broker.ts';
import type {Broker} from '../../src/core/broker.ts';

export interface Received {
  channels: string[];
  data: {type: string; body: Record<string, unknown>};
  idempotency_key?: string;
}

type Fault = {error: {code: number; message: string}};

/** How the server answers next; it can be changed while the relay runs. */
export interface Behaviour {
  /** An HTTP status instead of an answer. */
  status?: number;
  /** Accepts and does not answer until it behaves otherwise, when it cuts the connection. */
  silent?: boolean;
  /** Does not answer requests that name at least so many channels. */
  silentFor?: number;
  /** An error for single channels of a broadcast. */
  fault?: (received: Received, channel: string) => Fault | undefined;
  /** Executes the broadcast and then cuts the connection. */
  cutAnswer?: boolean;
}

export interface BatchServer {
  broker: Broker;
  url: string;
  /** What channels took, in order. */
  taken: {channel: string; received: Received}[];
  /** Whose connections were to be ended, in order. */
  ended: {user: string; disconnect: {code: number; reason: string}}[];
  requests: () => number;
  behave(behaviour: Behaviour): void;
}

interface Command {
  broadcast?: Received;
  disconnect?: BatchServer['ended'][number];
}

export const batchServerKey = 'test-key';

/** A server that speaks batch, broadcast and disconnect of Centrifugo's server API over real HTTP, and fails on demand. */
export async function startBatchServer(t: ExecutionContext, requestTimeoutMs = 20_000): Promise<BatchServer> {
  const taken: BatchServer['taken'] = [];
  const ended: BatchServer['ended'] = [];
  let behaviour: Behaviour = {};
  let requests = 0;
  const unanswered: IncomingMessage[] = [];

  function respond(channel: string, received: Received): Fault | {result: object} {
    const fault = behaviour.fault?.(received, channel);
    if (fault) return fault;
    taken.push({channel, received});
    return {result: {}};
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    requests += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (request.headers['x-api-key'] !== batchServerKey) return void response.writeHead(401).end();
    if (behaviour.silent) return void unanswered.push(request);
    if (behaviour.status) return void response.writeHead(behaviour.status).end('Bad Request');
    const {commands} = JSON.parse(Buffer.concat(chunks).toString()) as {commands: Command[]};
    const named = commands.reduce((sum, {broadcast}) => sum + (broadcast?.channels.length ?? 0), 0);
    if (named >= (behaviour.silentFor ?? Infinity)) return void unanswered.push(request);
    const replies = commands.map(({broadcast, disconnect}) => {
      if (disconnect) ended.push(disconnect);
      return broadcast ? {broadcast: {responses: broadcast.channels.map(each => respond(each, broadcast))}} : {};
    });
    if (behaviour.cutAnswer) return void request.socket.destroy();
    response.writeHead(200, {'content-type': 'application/json'}).end(JSON.stringify({replies}));
  }

  const server = createServer((request, response) => void handle(request, response));
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const broker = centrifugoBroker({url, apiKey: batchServerKey, requestTimeoutMs});
  t.teardown(async () => {
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
    await broker.close();
  });
  return {
    broker,
    url,
    taken,
    ended,
    requests: () => requests,
    behave(next) {
      behaviour = next;
      for (const each of unanswered.splice(0)) each.socket.destroy();
    },
  };
}
