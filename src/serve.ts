// A whole server: API, relay and, where no Centrifugo is configured, the embedded real-time endpoint. What the settings
// do not ask for is not loaded: it would be a third of the start.
import type {Server} from 'node:http';
import {Server as NetServer} from 'node:net';
import {openApiAuth} from './auth.ts';
import type {Broker} from './core/broker.ts';
import {
  centrifugoTokenSecret,
  isProduction,
  mustBeFitForProduction,
  publicUrl,
  rateLimitsOf,
  type Config,
} from './config.ts';
import {mustBeOnLocalDisk} from './db/file-system.ts';
import {mustBeWritable} from './db/meta.ts';
import {listPurgeableRooms, purgeRoom} from './db/purge.ts';
import {claimFile, type Claims} from './delivery/claims.ts';
import {startRelay, type Relay} from './delivery/relay.ts';
import {httpApp} from './http/koa.ts';
import {clientAddress, createLimits} from './http/limits.ts';
import {httpServer, serverLimits} from './http/server.ts';
import {listen, onFreePort} from './listen.ts';
import {onceAMinute, type Logger} from './log.ts';
import type {Metrics} from './metrics.ts';
import {openChat, type OpenChat} from './open.ts';
import {version} from './version.ts';

export interface RunningServer {
  apiUrl: string;
  /** Where clients connect, or undefined when a Centrifugo serves them. */
  realtimeUrl: string | undefined;
  chat: OpenChat;
  relay: Relay;
  /** Fulfilled when the server has ended. */
  closed: Promise<void>;
  close(options?: CloseOptions): Promise<void>;
}

export interface CloseOptions {
  /** How long connections on which nothing is asked stay open, for the request that may be on its way. */
  lastRequestsMs?: number;
}

export interface ServeOptions {
  log: Logger;
  migrate?: boolean;
  /** Where to take the next port when one is taken; nowhere when it is not said. */
  nextFreePort?: {api: boolean; realtime: boolean};
  /** The database is gone with the server, so that nothing waits for the disk. */
  throwaway?: boolean;
  /** Let browser pages of this machine in, as a developer needs it. */
  allowLocalOrigins?: boolean;
}

const localOrigins = ['http://localhost:*', 'http://127.0.0.1:*', 'https://localhost:*'];

/** Starts everything, or nothing: what was opened before a failure is closed again. */
export async function startServer(config: Config, options: ServeOptions): Promise<RunningServer> {
  if (isProduction(config)) mustBeFitForProduction(config);
  const stops: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const each of stops.splice(0).toReversed()) await each();
  };
  try {
    return await start(config, options, stops, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  config: Config,
  options: ServeOptions,
  stops: (() => Promise<void>)[],
  stop: () => Promise<void>,
): Promise<RunningServer> {
  const {log} = options;
  const tokenSecret = centrifugoTokenSecret(config);
  const auth = await openApiAuth(config, problem => log.warn(problem));
  stops.push(() => auth.close());

  const {migrate = false, throwaway = false} = options;
  const chat = await openChat(config, {migrate, throwaway});
  stops.push(() => chat.close());
  if (isProduction(config)) mustBeOnLocalDisk(chat.db.target);
  await mustBeWritable(chat.db);
  const claims = await claim(config, chat, log);
  stops.push(() => claims.release());
  const {broker, realtimeUrl, close: closeBroker} = await openBroker(config, options, tokenSecret);
  stops.push(closeBroker);
  for (const room of await listPurgeableRooms(chat.db)) await purgeRoom(chat.db, room);
  const metrics = await openMetrics(config);
  const relay = startRelay({
    db: chat.db,
    broker,
    claims,
    log,
    now: chat.now,
    ...(metrics && {onDelivered: metrics.delivered}),
  });
  metrics?.watch(chat, relay);
  chat.onOutbox(relay.wake);
  stops.push(() => relay.stop());

  let boundPort = config.PORT;
  const limits = rateLimitsOf(config) ?? undefined;
  const app = httpApp({
    chat,
    verifyApiToken: auth.verify,
    centrifugoTokenSecret: tokenSecret,
    publicUrl: () => publicUrl(config, boundPort),
    corsOrigins: options.allowLocalOrigins ? [...config.CORS_ORIGINS, ...localOrigins] : config.CORS_ORIGINS,
    trustProxy: config.TRUST_PROXY,
    limits: limits && createLimits(limits, config.RATE_LIMIT_STORE, chat),
    maxInFlight: config.MAX_IN_FLIGHT,
    log,
    ready: () => readiness(chat, relay),
    streams: broker,
    metrics,
  });
  const server = httpServer(app, log, {...serverLimits, maxConnections: config.MAX_CONNECTIONS});
  boundPort = await listen(server, config.HOST, config.PORT, options.nextFreePort?.api);
  let lastRequestsMs = 0;
  stops.push(() => closeServer(server, lastRequestsMs));

  const apiUrl = publicUrl(config, boundPort);
  log.info(
    {version, api: apiUrl, realtime: broker.name, realtime_url: realtimeUrl, database: chat.db.target.label},
    'chatctl serves',
  );
  let ended = () => {};
  const closed = new Promise<void>(resolve => {
    ended = resolve;
  });
  return {
    apiUrl,
    realtimeUrl,
    chat,
    relay,
    closed,
    async close(how = {}) {
      lastRequestsMs = how.lastRequestsMs ?? 0;
      await stop();
      ended();
    },
  };
}

async function claim(config: Config, chat: OpenChat, log: Logger): Promise<Claims> {
  const {target} = chat.db;
  if (target.dialect === 'sqlite') return claimFile(target.path, config.SQLITE_DRIVER);
  const {claimShare} = await import('./delivery/share.ts');
  return claimShare(target, {alone: config.CENTRIFUGO_API_URL === undefined, log});
}

/** They watch the whole process, so that there are none where nobody can ask for them. */
async function openMetrics({METRICS_KEY}: Config): Promise<(Metrics & {key: string}) | undefined> {
  if (!METRICS_KEY) return undefined;
  const {createMetrics} = await import('./metrics.ts');
  return {...createMetrics(), key: METRICS_KEY.reveal()};
}

interface OpenBroker {
  broker: Broker;
  realtimeUrl: string | undefined;
  close: () => Promise<void>;
}

async function openBroker(config: Config, options: ServeOptions, tokenSecret: string): Promise<OpenBroker> {
  if (config.CENTRIFUGO_API_URL !== undefined) {
    const {centrifugoBroker} = await import('./delivery/broker.ts');
    const broker = centrifugoBroker({
      url: config.CENTRIFUGO_API_URL,
      apiKey: config.CENTRIFUGO_API_KEY?.reveal() ?? '',
    });
    return {broker, realtimeUrl: undefined, close: () => broker.close()};
  }
  const {startEndpoint} = await import('./realtime/endpoint.ts');
  const endpoint = await onFreePort(config.REALTIME_PORT, options.nextFreePort?.realtime ?? false, port =>
    startEndpoint({
      host: config.HOST,
      port,
      tokenSecret,
      apiKey: config.CENTRIFUGO_API_KEY?.reveal(),
      allowedOrigins: options.allowLocalOrigins
        ? [...config.REALTIME_ORIGINS, ...localOrigins]
        : config.REALTIME_ORIGINS,
      version,
      connectionLimit: config.REALTIME_MAX_CONNECTIONS,
      userConnectionLimit: config.REALTIME_MAX_USER_CONNECTIONS,
      addressConnectionLimit: config.REALTIME_MAX_ADDRESS_CONNECTIONS,
      addressOf: request => clientAddress(request, config.TRUST_PROXY),
      log: (message, error) => options.log.error({err: error}, message),
      onFull: onceAMinute(() =>
        options.log.warn({max_connections: config.REALTIME_MAX_CONNECTIONS}, 'too many real-time connections: refused'),
      ),
    }),
  );
  const host = config.HOST === '0.0.0.0' || config.HOST === '127.0.0.1' ? 'localhost' : config.HOST;
  const realtimeUrl = `ws://${host}:${endpoint.port}/connection/websocket`;
  return {broker: endpoint.broker, realtimeUrl, close: () => endpoint.close()};
}

async function readiness(chat: OpenChat, relay: Relay): Promise<{ok: boolean; checks: Record<string, string>}> {
  const database = await chat.db.sql.raw('select 1').then(
    () => 'ok',
    () => 'unreachable',
  );
  // Posts are accepted while the broker is away, so that this is no reason to take the server out of service.
  const realtime = relay.state().unreachable === undefined ? 'ok' : 'degraded';
  return {ok: database === 'ok', checks: {database, realtime}};
}

const closeLimitMs = 8_000;
const closeIdleIntervalMs = 20;

/**
 * Takes no new connections, answers what comes on those that are open as their last, and cuts what is left after a limit.
 * A connection that is closed while nothing is asked on it resets a request that is on its way: a balancer would have to
 * answer for that, as it may not send a post twice.
 */
async function closeServer(server: Server, lastRequestsMs: number): Promise<void> {
  // A client that always has its next request ready would keep its connection open for ever.
  server.prependListener('request', (_, response) => response.setHeader('Connection', 'close'));
  const idleAt = performance.now() + lastRequestsMs;
  await takeConnections(server);
  // Node's own close of an HTTP server begins with the idle connections.
  const done = new Promise<void>(resolve => NetServer.prototype.close.call(server, () => resolve()));
  const idle = setInterval(() => {
    if (performance.now() >= idleAt) server.closeIdleConnections();
  }, closeIdleIntervalMs);
  const cut = setTimeout(() => server.closeAllConnections(), closeLimitMs);
  await done;
  clearInterval(idle);
  clearTimeout(cut);
  // It listens no more; this ends its checks of slow connections.
  server.close();
}

/** So many the system makes in advance; those that come after them are not waited for. */
const backlog = 511;

/**
 * Connections that the system has made and nobody has taken yet would be reset by the end of listening. There are none once
 * a turn of the event loop brings none: libuv takes one in each.
 */
async function takeConnections(server: Server): Promise<void> {
  let taken: boolean;
  const take = () => void (taken = true);
  server.on('connection', take);
  // This turn may have looked already.
  await new Promise(setImmediate);
  let turns = 0;
  do {
    taken = false;
    await new Promise(setImmediate);
  } while (taken && ++turns < backlog);
  server.off('connection', take);
}
