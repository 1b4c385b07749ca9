// T31: what who goes on asking over a limit has of it, with the library's counting, in a time of our own.
import {mock} from 'node:test';
import test from 'ava';
import {RateLimiterMemory} from 'rate-limiter-flexible';
import type {RateLimit} from '../../src/core/rate-limits.ts';
import {createCounter} from '../../src/http/counter.ts';

mock.timers.enable({apis: ['Date', 'setTimeout'], now: 1_800_000_000_000});

function counter(limit: RateLimit, isShared = false) {
  const limiter = (keyPrefix: string, {requests, seconds}: RateLimit) =>
    new RateLimiterMemory({keyPrefix, points: requests, duration: seconds});
  return createCounter('reads', limit, isShared, limiter, () => Date.now());
}

type Counter = ReturnType<typeof counter>;

async function passes({count}: Counter, key = 'mia'): Promise<boolean> {
  return (await count(key)).every(({passed}) => passed);
}

/** What Retry-After would say, in milliseconds; none for who passes. */
async function toldToWait({count}: Counter): Promise<number> {
  const [longest = 0] = (await count('mia')).flatMap(({passed, endsInMs}) => (passed ? [] : [endsInMs]));
  return Math.ceil(longest / 1_000) * 1_000;
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
  t.true((refused?.endsInMs ?? 0) <= 1_000);
  t.is(await passing(reads, 120, 'sam'), 100, 'nobody else');
});

test.serial('at three times the limit what passes is within 5 % of it', async t => {
  const reads = counter(usual);
  const passed = await insist(reads, 60, 33);
  t.true(passed >= 570 && passed <= 630, String(passed));
});

test.serial('who did not go on for a window has the burst again', async t => {
  const reads = counter(usual);
  await insist(reads, 15, 20);
  for (let second = 0; second < 11; second++) {
    mock.timers.tick(1_000);
    t.is(await passing(reads, 8), 8);
  }
  mock.timers.tick(2_000);
  t.true((await passing(reads, 30)) > 10);
});

test.serial('who waits from now on as it is told comes near its limit, and has the burst again', async t => {
  const reads = counter(usual);
  await insist(reads, 15, 20);
  let passed = 0;
  for (let ms = 0; ms < 60_000;) {
    const wait = await toldToWait(reads);
    if (wait === 0) passed += 1;
    mock.timers.tick(wait || 30);
    ms += wait || 30;
  }
  t.true(passed >= 540, String(passed));
});

test.serial('who sends half of its limit in heaps gets all of them, a little after it went on asking', async t => {
  const reads = counter(usual);
  await insist(reads, 15, 20);
  const passed: number[] = [];
  for (let heap = 0; heap < 6; heap++) {
    mock.timers.tick(9_000);
    passed.push(await passing(reads, 45));
  }
  t.deepEqual(passed.slice(3), [45, 45, 45]);
});

test.serial('until the window is over who goes on is told when that is', async t => {
  const reads = counter(usual);
  await passing(reads, 120);
  for (const ms of [1_500, 1_500, 1_500]) {
    mock.timers.tick(ms);
    const [refused, ...more] = await reads.count('mia');
    t.deepEqual([refused?.name, more.length], ['reads', 0]);
  }
});

test.serial('who is found to go on is refused a little longer once, by a time of its own', async t => {
  for (const [limit, most] of [
    [usual, 1_000],
    [{requests: 10, seconds: 10}, 5_000],
  ] as const) {
    for (const byCount of [false, true]) {
      const counted = counter(limit);
      await passing(counted, limit.requests);
      const [refused] = await counted.count('mia');
      const end = Date.now() + (refused?.endsInMs ?? 0);
      t.is(refused?.cameAgain?.(), end);
      mock.timers.tick(1_500);
      const again = async () => {
        if (!byCount) return refused?.cameAgain?.() ?? 0;
        return Date.now() + ((await counted.count('mia'))[0]?.endsInMs ?? 0);
      };
      const longer = (await again()) - end;
      t.true(longer > 0 && longer <= most, String(longer));
      t.is(await again(), end);
    }
  }
});

test.serial('a key that many share has its windows, whoever of them goes on', async t => {
  const all = counter(usual, true);
  await passing(all, 120);
  for (let second = 0; second < 9; second++) {
    mock.timers.tick(1_000);
    t.is(await passing(all, 5), 0);
  }
  mock.timers.tick(1_000);
  t.is(await passing(all, 120), 100);
});

test.serial('a clock that is set back keeps nobody out for longer than a window', async t => {
  const reads = counter(usual);
  await passing(reads, 100);
  const hour = 3_600_000;
  mock.timers.setTime(Date.now() + hour);
  await passing(reads, 100);
  mock.timers.reset();
  mock.timers.enable({apis: ['Date', 'setTimeout'], now: 1_800_000_000_000});
  t.true((await toldToWait(reads)) <= 10_000);
});

test.serial('a limit of a few requests has no burst to lose', async t => {
  const posts = counter({requests: 10, seconds: 10});
  t.is(await passing(posts, 20), 10);
  t.is(await insist(posts, 9.9), 0);
  mock.timers.tick(100);
  t.is(await passing(posts, 20), 10);
});
