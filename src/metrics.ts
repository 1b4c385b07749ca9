// What an operator watches, in Prometheus' text format.
import {collectDefaultMetrics, Counter, Gauge, Histogram, Registry} from 'prom-client';
import {outboxDepth, type OutboxRow} from './db/outbox.ts';
import type {Relay} from './delivery/relay.ts';
import type {OpenChat} from './open.ts';

const buckets = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];

/** What prom-client counts by walking through all connections at each look, which holds everybody up for that long. */
const perConnection = ['handles', 'resources', 'requests']
  .flatMap(of => [`nodejs_active_${of}`, `nodejs_active_${of}_total`])
  .concat('process_open_fds');

export interface Metrics {
  /** An event reached the broker; its age then is the delivery latency. */
  delivered: (row: OutboxRow) => void;
  request: (route: string, method: string, status: number, seconds: number) => void;
  /** Numbers that are read when somebody asks. */
  watch(chat: OpenChat, relay: Relay): void;
  contentType: string;
  render(): Promise<string>;
}

export function createMetrics(now: () => number = Date.now): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({register: registry});
  for (const name of perConnection) registry.removeSingleMetric(name);
  const latency = new Histogram({
    name: 'chatctl_delivery_seconds',
    help: 'From the commit of a change to the broker having its event.',
    buckets,
    registers,
  });
  const requests = new Histogram({
    name: 'chatctl_http_request_seconds',
    help: 'Answers of the API.',
    labelNames: ['route', 'method', 'status'],
    buckets,
    registers,
  });

  const refreshes: (() => Promise<void> | void)[] = [];

  return {
    delivered: row => latency.observe(Math.max(now() - Date.parse(row.createdAt), 0) / 1_000),
    request: (route, method, status, seconds) => requests.observe({route, method, status: String(status)}, seconds),
    watch(chat, relay) {
      refreshes.push(watchOutbox(chat, registers), watchRelay(relay, registers));
    },
    contentType: registry.contentType,
    async render() {
      await Promise.all(refreshes.map(async refresh => refresh()));
      return registry.metrics();
    },
  };
}

function watchOutbox(chat: OpenChat, registers: Registry[]): () => Promise<void> {
  const waiting = new Gauge({name: 'chatctl_outbox_events', help: 'Events that wait for delivery.', registers});
  const parked = new Gauge({name: 'chatctl_outbox_parked_events', help: 'Events refused for good.', registers});
  const oldest = new Gauge({
    name: 'chatctl_outbox_oldest_seconds',
    help: 'Age of the oldest event that waits.',
    registers,
  });
  return async () => {
    const depth = await outboxDepth(chat.db);
    waiting.set(depth.waiting);
    parked.set(depth.parked);
    oldest.set(depth.oldest === null ? 0 : (Date.parse(chat.now()) - Date.parse(depth.oldest)) / 1_000);
  };
}

function watchRelay(relay: Relay, registers: Registry[]): () => void {
  const counters = {
    published: new Counter({
      name: 'chatctl_relay_published_total',
      help: 'Events delivered since the start.',
      registers,
    }),
    repeated: new Counter({name: 'chatctl_relay_repeated_total', help: 'Deliveries tried again.', registers}),
    parked: new Counter({name: 'chatctl_relay_parked_total', help: 'Events parked since the start.', registers}),
  };
  return () => {
    const state = relay.state();
    for (const name of ['published', 'repeated', 'parked'] as const) {
      counters[name].reset();
      counters[name].inc(state[name]);
    }
  };
}
