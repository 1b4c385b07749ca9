// A whole server: API, relay and, where no Centrifugo is configured, the embedded real-time endpoint.
import {createServer, type Server} from 'node:http';
import {rememberTokens} from './core/token-cache.ts';
import {apiTokenVerifier} from './core/tokens.ts';
import type {Broker} from './core/broker.ts';
import {
  centrifugoTokenSecret,
  isProduction,
  jwtSecret,
  mustBeFitForProduction,
  publicUrl,
  type Config,
} from './config.ts';
import {mustBeWritable} from './db/meta.ts';
import {listPurgeableRooms, purgeRoom} from './db/purge.ts';
import {centrifugoBroker} from './delivery/broker.ts';
import {claimFile, type Claims} from './delivery/claims.ts';
import {startRelay, type Relay} from './delivery/relay.ts';
import {claimShare} from './delivery/share.ts';
import {httpApp} from './http/koa.ts';
import {listen, onFreePort} from './listen.ts';
import type {Logger} from './log.ts';
import {createMetrics} from './metrics.ts';
import {openChat, type OpenChat} from './open.ts';
import {startEndpoint} from './realtime/endpoint.ts';
import {version} from './version.ts';

export interface RunningServer {
  apiUrl: string;
  /** Where clients connect, or undefined when a Centrifugo serves them. */
  realtimeUrl: string | undefined;
  chat: OpenChat;
  relay: Relay;
  /** Fulfilled when the server has ended. */
  closed: Promise<void>;
  close(): Promise<void>;
}

export interface ServeOptions {
  log: Logger;
  migrate?: boolean;
  /** Take the next port where one is taken. */
  nextFreePort?: boolean;
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
  const verify = apiTokenVerifier({
    secret: jwtSecret(config),
    previousSecret: config.JWT_SECRET_PREVIOUS?.reveal(),
    requireExp: config.JWT_REQUIRE_EXP ?? isProduction(config),
    serviceScope: config.JWT_SERVICE_SCOPE,
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
  });

  const chat = await openChat(config, {migrate: options.migrate ?? false});
  stops.push(() => chat.close());
  await mustBeWritable(chat.db);
  const claims = await claim(config, chat, log);
  stops.push(() => claims.release());
  const {broker, realtimeUrl, close: closeBroker} = await openBroker(config, options, tokenSecret);
  stops.push(closeBroker);
  for (const room of await listPurgeableRooms(chat.db)) await purgeRoom(chat.db, room);
  const metrics = createMetrics();
  const relay = startRelay({db: chat.db, broker, claims, log, now: chat.now, onDelivered: metrics.delivered});
  metrics.watch(chat, relay);
  chat.onOutbox(relay.wake);
  stops.push(() => relay.stop());

  let boundPort = config.PORT;
  const app = httpApp({
    chat,
    verifyApiToken: rememberTokens(verify),
    centrifugoTokenSecret: tokenSecret,
    publicUrl: () => publicUrl(config, boundPort),
    corsOrigins: options.allowLocalOrigins ? [...config.CORS_ORIGINS, ...localOrigins] : config.CORS_ORIGINS,
    trustProxy: config.TRUST_PROXY,
    log,
    ready: () => readiness(chat, relay),
    metrics: config.METRICS_KEY && {...metrics, key: config.METRICS_KEY.reveal()},
  });
  const answer = app.callback();
  const server = httpServer((request, response) => void answer(request, response));
  boundPort = await listen(server, config.HOST, config.PORT, options.nextFreePort);
  stops.push(() => closeServer(server));

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
    async close() {
      await stop();
      ended();
    },
  };
}

function claim(config: Config, chat: OpenChat, log: Logger): Promise<Claims> {
  const {target} = chat.db;
  if (target.dialect === 'sqlite') return claimFile(target.path, config.SQLITE_DRIVER);
  return claimShare(target, {alone: config.CENTRIFUGO_API_URL === undefined, log});
}

interface OpenBroker {
  broker: Broker;
  realtimeUrl: string | undefined;
  close: () => Promise<void>;
}

async function openBroker(config: Config, options: ServeOptions, tokenSecret: string): Promise<OpenBroker> {
  if (config.CENTRIFUGO_API_URL !== undefined) {
    const broker = centrifugoBroker({
      url: config.CENTRIFUGO_API_URL,
      apiKey: config.CENTRIFUGO_API_KEY?.reveal() ?? '',
    });
    return {broker, realtimeUrl: undefined, close: () => broker.close()};
  }
  const endpoint = await onFreePort(config.REALTIME_PORT, options.nextFreePort ?? false, port =>
    startEndpoint({
      host: config.HOST,
      port,
      tokenSecret,
      apiKey: config.CENTRIFUGO_API_KEY?.reveal(),
      allowedOrigins: options.allowLocalOrigins
        ? [...config.REALTIME_ORIGINS, ...localOrigins]
        : config.REALTIME_ORIGINS,
      version,
      log: (message, error) => options.log.error({err: error}, message),
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

const headersTimeoutMs = 10_000;
const requestTimeoutMs = 30_000;
const keepAliveTimeoutMs = 65_000;
const closeLimitMs = 8_000;
const closeIdleIntervalMs = 20;

function httpServer(listener: Parameters<typeof createServer>[1]): Server {
  return createServer(
    {
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      connectionsCheckingInterval: headersTimeoutMs / 2,
    },
    listener,
  );
}

/** Takes no new requests, lets those under way finish, and cuts what is left after a limit. */
async function closeServer(server: Server): Promise<void> {
  // A client that always has its next request ready would keep its connection open for ever.
  server.prependListener('request', (_, response) => response.setHeader('Connection', 'close'));
  const done = new Promise<void>(resolve => server.close(() => resolve()));
  const idle = setInterval(() => server.closeIdleConnections(), closeIdleIntervalMs);
  const cut = setTimeout(() => server.closeAllConnections(), closeLimitMs);
  await done;
  clearInterval(idle);
  clearTimeout(cut);
}
