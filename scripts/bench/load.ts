// Load over HTTP: as fast as answers come, or at a steady pace.
import {connectWire, requestText, type Wire} from './wire.ts';

export interface LoadResult {
  accepted: number;
  refused: number;
  perSecond: number;
  /** Milliseconds that each accepted request took. */
  latencies: number[];
}

/** Text of the n-th request. */
export type Requests = (n: number) => string;

/** Where requests go: each connection to one of these servers, in turn. */
export interface Target {
  apiUrls: readonly string[];
  connections: number;
  requests: Requests;
}

/** As fast as they are answered. */
export function loadFor(target: Target, seconds: number): Promise<LoadResult> {
  return overWires(target, async (wire, next, meter) => {
    while (performance.now() < meter.started + seconds * 1_000) await meter.send(wire, next());
  });
}

/** So many a second; latency counts from when a request was due. */
export function loadAtPace(target: Target, perSecond: number, seconds: number): Promise<LoadResult> {
  const total = Math.round(perSecond * seconds);
  let taken = 0;
  return overWires(target, async (wire, next, meter) => {
    for (let n = taken++; n < total; n = taken++) {
      const due = meter.started + (n * 1_000) / perSecond;
      const wait = due - performance.now();
      if (wait > 0) await new Promise(resolve => setTimeout(resolve, wait));
      await meter.send(wire, next(), due);
    }
  });
}

// The connections are new each time: servers close those that were idle while others had their turn.
async function overWires(
  {apiUrls, connections, requests}: Target,
  work: (wire: Wire, next: () => string, meter: Meter) => Promise<void>,
): Promise<LoadResult> {
  const wires = await Promise.all(
    Array.from({length: connections}, (_, i) => connectWire(apiUrls[i % apiUrls.length] ?? '')),
  );
  let n = 0;
  const meter = startMeter();
  await Promise.all(wires.map(wire => work(wire, () => requests(n++), meter)));
  for (const wire of wires) wire.close();
  return meter.result();
}

type Meter = ReturnType<typeof startMeter>;

function startMeter() {
  const started = performance.now();
  const latencies: number[] = [];
  let refused = 0;
  return {
    started,
    async send(wire: Wire, request: string, since = performance.now()): Promise<void> {
      const status = await wire.send(request);
      if (status < 300) latencies.push(performance.now() - since);
      else refused += 1;
    },
    result(): LoadResult {
      const seconds = (performance.now() - started) / 1_000;
      return {accepted: latencies.length, refused, perSecond: latencies.length / seconds, latencies};
    },
  };
}

/** Posts into these rooms in turn. */
export function postsInto(rooms: readonly {room: number; token: string}[]): Requests {
  return n => {
    const {room, token} = rooms[n % rooms.length] ?? {room: 0, token: ''};
    return requestText('POST', `/api/rooms/${room}/messages/`, token, `{"content":"message ${n} of the benchmark"}`);
  };
}

export function percentiles(values: readonly number[]): {p50: number; p99: number} {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(Math.floor(sorted.length * share), sorted.length - 1)] ?? NaN;
  return {p50: at(0.5), p99: at(0.99)};
}
