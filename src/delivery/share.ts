// PostgreSQL: the servers of one database share its partitions.
//
// Each server has one session of its own for this. In it lies a lock that says the server is there, a lock for every
// partition it drains, and what the servers tell each other of new events. Four times a second it looks at these locks:
// how many servers there are gives its share; what is above the share it hands over once nothing of it is under way,
// and what is free it takes. PostgreSQL ends the session of a process that died at once, and that of one that froze
// when it has been idle for too long, and the locks with it.
import pg from 'pg';
import {ChatError} from '../core/errors.ts';
import type {DatabaseTarget} from '../db/connect.ts';
import {advisoryClass} from '../db/locks.ts';
import {partitionCount} from '../db/outbox.ts';
import type {Logger} from '../log.ts';
import {everyPartition, type Claims} from './claims.ts';

/** The advisory lock of a server that is there; those of partitions have the partition for a key. */
const presenceKey = 1_000;
const newsChannel = 'chatctl_outbox';

const lookIntervalMs = 250;
const answerLimitMs = 4_000;
/** Claims that were not confirmed for so long are not relied upon. */
const confirmationLimitMs = 6_000;
/** PostgreSQL ends the session, and with it the locks, of a process that froze. */
const idleSessionTimeoutMs = 12_000;
/** How long a start waits for a server that is ending. */
const startLimitMs = 2_000;

type Target = DatabaseTarget & {dialect: 'postgres'};

export interface ShareOptions {
  /** Serves clients from this process's memory, so that no other server may be there. */
  alone: boolean;
  log: Logger;
}

/** Rejects with server_running when a server is there that does not go with this one. */
export async function claimShare(target: Target, options: ShareOptions): Promise<Claims> {
  const share = new Share(target, options);
  await share.start();
  return share;
}

class Share implements Claims {
  readonly #target: Target;
  readonly #options: ShareOptions;
  #client: pg.Client | undefined;
  // Never changed in place: whoever drains goes by the list that it was given.
  #held: readonly number[] = [];
  /** Not drained any more, but something of it is under way still. */
  #leaving: readonly number[] = [];
  readonly #uses = new Map<number, number>();
  #confirmedAt = -Infinity;
  #released = false;
  #problem: string | undefined;
  #untold = new Set<number>();
  #telling = false;
  #listener: () => void = () => {};
  #wakeUp: () => void = () => {};
  #running: Promise<void> | undefined;

  constructor(target: Target, options: ShareOptions) {
    this.#target = target;
    this.#options = options;
  }

  async start(): Promise<void> {
    const deadline = performance.now() + startLimitMs;
    for (;;) {
      try {
        this.#client = await this.#connect();
        await this.#settle(this.#client);
        break;
      } catch (error) {
        await this.#drop(this.#client);
        if (!(error instanceof ChatError) || performance.now() > deadline) throw error;
        await this.#rest();
      }
    }
    this.#running = this.#run();
  }

  held(): readonly number[] {
    // A process that was frozen must not go on with what may belong to another by now.
    return performance.now() - this.#confirmedAt < confirmationLimitMs ? this.#held : [];
  }

  hold(partitions: readonly number[]): () => void {
    for (const each of partitions) this.#uses.set(each, (this.#uses.get(each) ?? 0) + 1);
    return () => {
      for (const each of partitions) this.#uses.set(each, (this.#uses.get(each) ?? 1) - 1);
    };
  }

  tell(partitions: readonly number[]): void {
    for (const each of partitions) if (!this.#held.includes(each)) this.#untold.add(each);
    if (this.#untold.size > 0 && !this.#telling) void this.#tellAll();
  }

  onNews(listener: () => void): void {
    this.#listener = listener;
  }

  async release(): Promise<void> {
    this.#released = true;
    this.#wakeUp();
    await this.#running;
    await this.#drop(this.#client);
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#rest();
      if (this.#released) return;
      try {
        this.#client ??= await this.#connect();
        await this.#settle(this.#client);
        this.#wentOn();
      } catch (error) {
        this.#failed(error);
        await this.#drop(this.#client);
      }
    }
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#target.url,
      application_name: 'chatctl relay',
      connectionTimeoutMillis: answerLimitMs,
      query_timeout: answerLimitMs,
      // What this session commits is news for other servers and nothing to keep.
      options: `-c idle_session_timeout=${idleSessionTimeoutMs} -c synchronous_commit=off`,
    });
    client.on('error', () => void this.#drop(client));
    client.on('end', () => void this.#drop(client));
    client.on('notification', ({payload}) => this.#hear(payload ?? ''));
    try {
      await client.connect();
      await this.#appear(client);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  /** Servers with a Centrifugo go together; one that serves clients itself goes with no other. */
  async #appear(client: pg.Client): Promise<void> {
    const lock = this.#options.alone ? 'pg_try_advisory_lock' : 'pg_try_advisory_lock_shared';
    const {rows} = await client.query<{got: boolean}>(`select ${lock}($1, $2) as got`, [advisoryClass, presenceKey]);
    if (!rows[0]?.got) throw this.#notAlone();
    await client.query(`listen ${newsChannel}`);
  }

  #notAlone(): ChatError {
    return new ChatError('server_running', `Another chatctl server runs on ${this.#target.label} already.`, {
      hint: this.#options.alone
        ? 'Clients of one server would not see what another delivers: set CENTRIFUGO_API_URL to run several.'
        : 'It serves its clients itself, without a Centrifugo. Stop it first, or give it CENTRIFUGO_API_URL too.',
    });
  }

  /** Brings what is held to this server's share. The question is the heartbeat of the session, too. */
  async #settle(client: pg.Client): Promise<void> {
    const askedAt = performance.now();
    const {servers, taken} = await lookAround(client);
    this.#confirmedAt = askedAt;
    const share = Math.ceil(partitionCount / Math.max(servers, 1));
    this.#leaving = [...this.#leaving, ...this.#held.slice(share)];
    this.#held = this.#held.slice(0, share);
    await this.#handOver(client);
    const free = everyPartition.filter(each => !taken.has(each));
    await this.#take(client, shuffled(free).slice(0, share - this.#held.length));
  }

  async #handOver(client: pg.Client): Promise<void> {
    const idle = this.#leaving.filter(each => !this.#uses.get(each));
    if (idle.length === 0) return;
    this.#leaving = this.#leaving.filter(each => !idle.includes(each));
    await client.query('select pg_advisory_unlock($1, each) from unnest($2::int[]) as each', [advisoryClass, idle]);
  }

  async #take(client: pg.Client, wanted: readonly number[]): Promise<void> {
    if (wanted.length === 0) return;
    const {rows} = await client.query<{partition: number; got: boolean}>(
      'select partition, pg_try_advisory_lock($1, partition) as got from unnest($2::int[]) as partition',
      [advisoryClass, wanted],
    );
    if (client !== this.#client) return;
    this.#held = [...this.#held, ...rows.filter(row => row.got).map(row => row.partition)];
    // What the one before left behind must not wait for the next poll.
    this.#listener();
  }

  /** One message for all that came up while the one before it was under way. */
  async #tellAll(): Promise<void> {
    this.#telling = true;
    while (this.#untold.size > 0) {
      const partitions = [...this.#untold].join(',');
      this.#untold.clear();
      // Nobody waits for it: whoever misses it polls.
      await this.#client?.query('select pg_notify($1, $2)', [newsChannel, partitions]).catch(() => undefined);
    }
    this.#telling = false;
  }

  #hear(payload: string): void {
    if (payload.split(',').some(each => this.#held.includes(Number(each)))) this.#listener();
  }

  async #drop(client: pg.Client | undefined): Promise<void> {
    if (!client || this.#client !== client) return;
    this.#client = undefined;
    this.#held = [];
    this.#leaving = [];
    await client.end().catch(() => undefined);
  }

  #rest(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, lookIntervalMs);
      function done() {
        clearTimeout(timer);
        resolve();
      }
      this.#wakeUp = done;
      if (this.#released) done();
    });
  }

  #failed(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#options.log.warn({error: problem}, 'the claim on the outbox is lost for now');
  }

  #wentOn(): void {
    if (this.#problem !== undefined) this.#options.log.info('the claim on the outbox is back');
    this.#problem = undefined;
  }
}

/** How many servers are there, and the partitions that one of them holds. */
async function lookAround(client: pg.Client): Promise<{servers: number; taken: Set<number>}> {
  const {rows} = await client.query<{key: number}>(
    `select objid::int as key from pg_locks where locktype = 'advisory' and granted and classid = $1 and objsubid = 2
     and database = (select oid from pg_database where datname = current_database())`,
    [advisoryClass],
  );
  const keys = rows.map(row => row.key);
  return {
    servers: keys.filter(key => key === presenceKey).length,
    taken: new Set(keys.filter(key => key !== presenceKey)),
  };
}

/** Servers that ask at the same time should not all ask for the same. */
function shuffled(partitions: readonly number[]): number[] {
  return partitions
    .map(partition => ({partition, at: Math.random()}))
    .toSorted((a, b) => a.at - b.at)
    .map(({partition}) => partition);
}
