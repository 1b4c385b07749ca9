// T31: what who goes on asking over a limit has of it, with the library's counting, in a time of our own.
import {mock} from 'node:test';
import test from 'ava';
import {RateLimiterMemory} from 'rate-limiter-flexible';
import type {RateLimit} from '../../src/core/rate-limits.ts';
import {createCounter} from '../../src/http/counter.ts';

test.before(() => mock.timers.enable({apis: ['Date', 'setTimeout'], now: 1_800_000_000_000}));
test.after.always(() => mock.timers.reset());

function counter(limit: RateLimit) {
  const limiter = (keyPrefix: string, {requests, seconds}: RateLimit) =>
    new RateLimiterMemory({keyPrefix, points: requests, duration: seconds});
  return createCounter('reads', limit, limiter, () => Date.now());
}

type Counter = ReturnType<typeof counter>;

async function passes({count}: Counter, key = 'mia'): Promise<boolean> {
  return (await count(key)).every(({passed}) => passed);
}

/** How many of so many at once pass. */
async function passing(counted: Counter, requests: number, key = 'mia'): Promise<number> {
  let passed = 0;
  for (let i = 0; i < requests; i++) if (await passes(counted, key)) passed += 1;
  return passed;
}

/** Asks all the while, as often as told. */
async function insist(counted: Counter, seconds: number, everyMs = 100): Promise<number> {
  let passed = 0;
  for (let ms = 0; ms < seconds * 1_000; ms += everyMs) {
    mock.timers.tick(everyMs);
    if (await passes(counted)) passed += 1;
  }
  return passed;
}

const usual = {requests: 100, seconds: 10};

test.serial('who waits after a refusal has the whole burst again', async t => {
  const reads = counter(usual);
  for (let window = 0; window < 3; window++) {
    t.is(await passing(reads, 120), 100);
    mock.timers.tick(10_000);
  }
});

test.serial('what was under way when the refusal came is not held against its caller', async t => {
  const reads = counter(usual);
  await passing(reads, 120);
  mock.timers.tick(900);
  t.is(await passing(reads, 50), 0);
  mock.timers.tick(9_100);
  t.is(await passing(reads, 120), 100);
});

test.serial('who goes on asking has the mean without the burst, and is told by which limit', async t => {
  const reads = counter(usual);
  t.is(await passing(reads, 120), 100);
  t.is(await insist(reads, 9.9), 0);
  mock.timers.tick(1_100);
  t.is(await passing(reads, 120), 10);
  const [refused, ...more] = await reads.count('mia');
  t.deepEqual(more, [], 'what is refused is not counted against the window too');
  t.like(refused, {name: 'reads-steady', limit: {requests: 10, seconds: 1}, passed: false});
  t.true((refused?.state.msBeforeNext ?? 0) <= 1_000);
  t.is(await passing(reads, 120, 'sam'), 100, 'nobody else');
});

test.serial('at three times the limit what passes is within 5 % of it', async t => {
  const reads = counter(usual);
  const passed = await insist(reads, 60, 33);
  t.true(passed >= 570 && passed <= 630, String(passed));
});

test.serial('who was not refused for a window has the burst again', async t => {
  const reads = counter(usual);
  await insist(reads, 15, 20);
  for (let second = 0; second < 11; second++) {
    mock.timers.tick(1_000);
    t.is(await passing(reads, 8), 8);
  }
  mock.timers.tick(10_000);
  t.is(await passing(reads, 120), 100);
});

test.serial('who is found to go on waits a little longer once, by a time of its own', async t => {
  for (const [limit, most] of [
    [usual, 1_000],
    [{requests: 10, seconds: 10}, 5_000],
  ] as const) {
    const counted = counter(limit);
    await passing(counted, limit.requests);
    const [refused] = await counted.count('mia');
    t.is(refused?.cameAgain(), 0);
    mock.timers.tick(1_500);
    const longer = refused?.cameAgain() ?? 0;
    t.true(longer > 0 && longer <= most, String(longer));
    t.is(refused?.cameAgain(), 0);
  }
});

test.serial('a limit of a few requests has no burst to lose', async t => {
  const posts = counter({requests: 10, seconds: 10});
  t.is(await passing(posts, 20), 10);
  t.is(await insist(posts, 9.9), 0);
  mock.timers.tick(100);
  t.is(await passing(posts, 20), 10);
});
