import test from 'ava';
import {combined} from '../../src/core/combine.ts';

test('what is asked for in one turn or while a lookup is under way is looked up together, each key once', async t => {
  const calls: string[][] = [];
  const later: Promise<string | undefined>[] = [];
  const lookUp = combined(async (keys: readonly string[]) => {
    calls.push([...keys]);
    if (calls.length === 1) later.push(...['c', 'd'].map(lookUp));
    await new Promise(resolve => setImmediate(resolve));
    return new Map(keys.filter(key => key !== 'nobody').map(key => [key, key.toUpperCase()]));
  });
  t.deepEqual(await Promise.all(['a', 'b', 'b', 'nobody'].map(lookUp)), ['A', 'B', 'B', undefined]);
  t.deepEqual(await Promise.all(later), ['C', 'D']);
  t.deepEqual(calls, [
    ['a', 'b', 'nobody'],
    ['c', 'd'],
  ]);
});

test('a lookup that fails fails for those who were in it, and the next one goes on', async t => {
  let broken = true;
  const lookUp = combined((keys: readonly string[]) =>
    broken ? Promise.reject(new Error('away')) : Promise.resolve(new Map(keys.map(key => [key, key]))),
  );
  await t.throwsAsync(lookUp('a'), {message: 'away'});
  broken = false;
  t.is(await lookUp('a'), 'a');
});

test('no more lookups than are allowed are under way, of no more keys each', async t => {
  const ends: (() => void)[] = [];
  const calls: number[][] = [];
  const lookUp = combined(
    async (keys: readonly number[]) => {
      calls.push([...keys]);
      await new Promise<void>(resolve => ends.push(resolve));
      return new Map(keys.map(key => [key, key]));
    },
    {maxTogether: 2, atOnce: 2},
  );
  const turn = () => new Promise(resolve => setImmediate(resolve));
  const asked = [1, 2, 3].map(lookUp);
  await turn();
  t.deepEqual(calls, [[1, 2]]);
  asked.push(lookUp(4));
  await turn();
  t.deepEqual(calls, [
    [1, 2],
    [3, 4],
  ]);
  asked.push(lookUp(5));
  await turn();
  t.is(calls.length, 2);
  ends[0]?.();
  await turn();
  t.deepEqual(calls[2], [5]);
  for (const end of ends) end();
  t.deepEqual(await Promise.all(asked), [1, 2, 3, 4, 5]);
});
