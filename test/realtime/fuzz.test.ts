// Random frames: most are almost commands, some are text, some are bytes.
import test from 'ava';
import fc from 'fast-check';
import {WebSocket, type RawData} from 'ws';
import {createHub} from '../../src/realtime/hub.ts';
import {withDefaults} from '../../src/realtime/options.ts';
import {openConnection, type Connection} from '../../src/realtime/session.ts';
import {tokenVerifier} from '../../src/realtime/tokens.ts';
import {connected, namespaces, secret, startEmbedded, token, type RawClient} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

function randomFrames(count: number): string[] {
  const field = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.jsonValue());
  const channel = fc.constantFrom('plain:a', 'chat:a', 'opt:a', 'closed:a', 'nowhere:a', '', 'personal:42');
  const method = fc.constantFrom(
    ...'connect subscribe unsubscribe publish presence presence_stats history'.split(' '),
    ...'subscribe unsubscribe publish presence history'.split(' '),
    ...'refresh sub_refresh rpc send ping __proto__ constructor'.split(' '),
  );
  // Right more often than wrong, or every frame would end at the first look at it.
  const mostly = (right: fc.Arbitrary<unknown>) =>
    fc.oneof({weight: 30, arbitrary: right}, {weight: 1, arbitrary: field});
  const fields = {
    channel: mostly(channel),
    data: field,
    token: mostly(fc.constantFrom('', token({sub: '42'}), token({sub: '42', channel: 'closed:a'}), 'a.b.c')),
    recover: mostly(fc.boolean()),
    offset: mostly(fc.nat()),
    epoch: mostly(fc.string()),
    limit: mostly(fc.integer()),
    since: mostly(fc.record({offset: fc.nat(), epoch: fc.string()})),
    flag: mostly(fc.integer()),
  };
  const body = mostly(fc.record(fields, {requiredKeys: []}));
  const command = fc
    .tuple(mostly(fc.integer({min: 1, max: 4_294_967_295})), method, body)
    .map(([id, name, value]) => JSON.stringify({id, [name]: value}));
  const frame = fc.oneof(
    {weight: 4, arbitrary: fc.array(command, {minLength: 1, maxLength: 4}).map(lines => lines.join('\n'))},
    {weight: 1, arbitrary: fc.string()},
    {weight: 1, arbitrary: fc.uint8Array().map(bytes => Buffer.from(bytes).toString('latin1'))},
  );
  return fc.sample(frame, {numRuns: count, seed: 7_102_026});
}

// Past the socket, so that ten thousand are a matter of seconds.
test('embedded: ten thousand random frames neither crash it nor leave anything behind', t => {
  const failures: unknown[] = [];
  const log = (message: string, error: unknown) => failures.push([message, error]);
  const hub = createHub(withDefaults({host: '127.0.0.1', port: 0, tokenSecret: secret, namespaces, log}));
  const verify = tokenVerifier([secret], hub.settings.now);
  const connect = JSON.stringify({id: 1, connect: {token: token({sub: '42'})}});
  const probe = JSON.stringify({id: 4_000_000_000, unsubscribe: {channel: 'plain:probe'}});
  const timers = () => process.getActiveResourcesInfo().filter(each => each === 'Timeout').length;
  const timersBefore = timers();
  const closes = new Set<number>();
  let connections = 0;
  let output = '';
  const transport = {
    send: (text: string) => void (output = text),
    buffered: () => 0,
    close: (code: number) => void closes.add(code),
    terminate: () => undefined,
  };
  let current: Connection | undefined;
  for (const frame of randomFrames(10_000)) {
    if (!current) {
      connections += 1;
      current = openConnection(hub, verify, transport);
      current.receive(connect);
    }
    current.receive(frame);
    output = '';
    current.receive(probe);
    // It goes on, or it is over for a reason that was told.
    if (output.includes('4000000000')) continue;
    current.closed();
    current = undefined;
  }
  current?.closed();
  t.deepEqual(failures, []);
  t.true(connections > 1_000 && connections < 9_000, `${connections} connections`);
  t.deepEqual(
    [...closes].toSorted((a, b) => a - b),
    [3500, 3501, 3508],
  );
  t.is(hub.sessions.size, 0);
  t.deepEqual(hub.channels(), []);
  t.is(timers(), timersBefore);
});

function answerTo(client: RawClient, id: number): Promise<void> {
  return new Promise(resolve => {
    const look = (data: RawData) => {
      if (!(data as Buffer).includes(`"id":${id}`)) return;
      client.socket.off('message', look);
      client.pending();
      resolve();
    };
    client.socket.on('message', look);
  });
}

test('embedded: three hundred random frames over sockets do neither', async t => {
  const backend = await startEmbedded(t);
  const frames = randomFrames(300);
  let answered = 0;
  // Each frame is followed by a command whose answer, or the close, tells that the frame was dealt with.
  const worker = async () => {
    let current: RawClient | undefined;
    for (let next = frames.pop(); next !== undefined; next = frames.pop()) {
      if (current?.socket.readyState !== WebSocket.OPEN) current = await connected(t, backend, '42');
      current.send(next);
      current.send({id: 4_000_000_000, unsubscribe: {channel: 'plain:probe'}});
      const client = current;
      await Promise.race([client.closed, answerTo(client, 4_000_000_000)]);
      answered += 1;
    }
    current?.socket.close();
  };
  await Promise.all(Array.from({length: 20}, worker));
  t.is(answered, 300);
  const survivor = await connected(t, backend, '42');
  survivor.send({id: 2, subscribe: {channel: 'plain:alive'}});
  t.deepEqual(await survivor.next(), {id: 2, subscribe: {}});
  survivor.socket.close();
  await until(() => backend.endpoint.stats().clients === 0, 'all clients to go');
  t.like(backend.endpoint.stats(), {clients: 0, subscriptions: 0, channels: 0});
});
