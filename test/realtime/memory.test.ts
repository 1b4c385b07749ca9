// What the embedded endpoint keeps, for how long, and that it lets go: a clock of the test's stands for the days.
import test from 'ava';
import fc from 'fast-check';
import {globPattern} from '../../src/realtime/glob.ts';
import {rawEntries, rawField} from '../../src/realtime/raw.ts';
import {createStreams} from '../../src/realtime/stream.ts';
import {createTimers} from '../../src/realtime/timers.ts';
import {api, ask, connected, publish, startEmbedded, type Message} from '../helpers/realtime.ts';
import {until} from '../helpers/until.ts';

const minute = 60_000;
const day = 24 * 60 * minute;

function clock(): {now: () => number; pass: (ms: number) => void} {
  let time = Date.now();
  return {
    now: () => time,
    pass(ms) {
      time += ms;
    },
  };
}

test('a key is forgotten five minutes after its first publication', async t => {
  const {now, pass} = clock();
  const {endpoint, ...backend} = await startEmbedded(t, {}, {now});
  const offset = async () => {
    await endpoint.broker.broadcast([{channels: ['hist:key'], data: '1', idempotencyKey: 'k'}]);
    const {json} = await api(backend, 'history', {channel: 'hist:key'});
    return (json['result'] as Message)['offset'];
  };
  t.is(await offset(), 1);
  pass(4 * minute);
  t.is(await offset(), 1);
  pass(minute);
  t.is(await offset(), 2);
});

test('no more keys are remembered than half a million', t => {
  const streams = createStreams(Date.now, day, () => false);
  for (let i = 0; i < 500_100; i++) streams.remember(`a:${i}`, 'k', {});
  streams.sweep();
  t.is(streams.remembered('a:0', 'k'), undefined);
  t.is(streams.remembered('a:99', 'k'), undefined);
  t.deepEqual(streams.remembered('a:100', 'k'), {});
});

test('a key that comes again counts five minutes in each channel', t => {
  const {now, pass} = clock();
  const streams = createStreams(now, day, () => false);
  const publish = (channel: string) => {
    const before = streams.remembered(channel, 'k');
    if (before) return before;
    const position = streams.append(channel, {data: '1'}, {size: 10, ttlMs: day});
    streams.remember(channel, 'k', position);
    return position;
  };
  const first = publish('a');
  pass(4 * minute);
  t.like(publish('b'), {offset: 1});
  t.deepEqual(publish('a'), first);
  pass(minute);
  t.like(publish('a'), {offset: 2});
  t.like(publish('b'), {offset: 1});
  pass(4 * minute);
  streams.sweep();
  t.like(publish('b'), {offset: 2});
  t.like(publish('a'), {offset: 2});
  pass(4 * minute);
  t.like(publish('c'), {offset: 1});
  t.like(publish('a'), {offset: 3});
});

test('what went into no stream is remembered without a place in one', t => {
  const streams = createStreams(Date.now, day, () => false);
  streams.append('a', {data: '1'}, {size: 10, ttlMs: day});
  streams.remember('a', 'k', {});
  streams.remember('b', 'k', {});
  t.deepEqual([streams.remembered('a', 'k'), streams.remembered('b', 'k')], [{}, {}]);
  t.is(streams.remembered('c', 'k'), undefined);
});

test('a stream is forgotten when nobody used it for its time, and begins anew', async t => {
  const {now, pass} = clock();
  const {endpoint, ...backend} = await startEmbedded(t, {}, {now, historyMetaTtlMs: day});
  const before = (await publish(backend, 'hist:old', 1)) as {result: {epoch: string; offset: number}};
  await publish(backend, 'hist:old', 2);
  t.is(endpoint.stats().streams, 1);
  pass(day);
  await until(() => endpoint.stats().streams === 0, 'the stream to be forgotten');
  const after = (await publish(backend, 'hist:old', 3)) as typeof before;
  t.is(after.result.offset, 1);
  t.not(after.result.epoch, before.result.epoch);
});

test('a stream stays as long as somebody is subscribed, so that nobody is left in another epoch', async t => {
  const {now, pass} = clock();
  const backend = await startEmbedded(t, {}, {now, historyMetaTtlMs: day});
  const client = await connected(t, backend, '42');
  await publish(backend, 'hist:kept', 1);
  await publish(backend, 'hist:dropped', 1);
  await ask(client, {id: 2, subscribe: {channel: 'hist:kept'}});
  pass(day);
  await until(() => backend.endpoint.stats().streams === 1, 'the other to be forgotten');
  await publish(backend, 'hist:kept', 2);
  t.deepEqual(await client.next(), {push: {channel: 'hist:kept', pub: {data: 2, offset: 2}}});
});

test('a wait of more than 25 days is no wait of none', async t => {
  const timers = createTimers();
  let rang = false;
  timers.set('far', 60 * day, () => (rang = true));
  await new Promise(resolve => {
    timers.set('near', 20, () => resolve(undefined));
  });
  t.false(rang);
  timers.clearAll();
});

test('the text of every field and item is found as it stands', t => {
  const json = fc
    .tuple(fc.jsonValue(), fc.constantFrom(0, 2, '\t', '\r\n'))
    .map(([value, indent]) => ({value, indent}));
  fc.assert(
    fc.property(fc.dictionary(fc.string(), json), fields => {
      const texts = Object.entries(fields).map(
        ([key, {value, indent}]) => [key, JSON.stringify(value, undefined, indent)] as const,
      );
      const object = `{ ${texts.map(([key, text]) => `${JSON.stringify(key)} :${text}`).join(' , ')}}`;
      for (const [key, text] of texts) t.is(rawField(object, key), text);
      const list = `[${texts.map(([, text]) => text).join(',\n')} ]`;
      t.deepEqual(
        rawEntries(list).map(each => each.text),
        texts.map(([, text]) => text),
      );
    }),
    {seed: 1, numRuns: 1_000},
  );
  t.is(rawField('{"a":1,"\\u0061":2}', 'a'), '2');
  t.is(rawField('{"a":{"b":1}}', 'b'), undefined);
});

test('a glob takes signs of regular expressions for themselves', t => {
  const matches = (glob: string, text: string) => globPattern(glob).test(text);
  t.false(matches('https://a.com', 'https://axcom'));
  t.false(matches('a+', 'aa'));
  t.false(matches('[!a]', 'a'));
  t.true(matches('https://*.a.com', 'https://b.c.a.com'));
  t.true(matches('(a|b)$^', '(a|b)$^'));
  t.throws(() => globPattern('[a-'));
});
