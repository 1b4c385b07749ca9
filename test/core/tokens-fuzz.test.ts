// Tokens at random: whatever is sent, the answer is a refusal with its code, and only what was signed so gets in.
import {createHmac} from 'node:crypto';
import test from 'ava';
import fc from 'fast-check';
import {apiTokenVerifier} from '../../src/core/api-token.ts';
import {ChatError} from '../../src/core/errors.ts';
import {keySource, keysOfJwkSet, secretKey} from '../../src/core/keys.ts';
import {testSecrets} from '../helpers/chat.ts';
import {testKey} from '../helpers/primary.ts';

const now = 1_800_000_000;
const pairs = (['RS256', 'ES256', 'EdDSA'] as const).map(alg => testKey(alg, alg));
const published = JSON.stringify({keys: pairs.map(({jwk}) => jwk)});
const keys = keySource([secretKey('JWT_SECRET', testSecrets.JWT_SECRET), ...keysOfJwkSet('JWT_KEYS', published)]);
const verify = apiTokenVerifier({keys, requireExp: true, serviceScope: 'chat:admin', maxAgeSeconds: 86_400});

const encode = (text: string) => Buffer.from(text).toString('base64url');

function signed(header: string, payload: string): string {
  const head = `${encode(header)}.${encode(payload)}`;
  return `${head}.${createHmac('sha256', testSecrets.JWT_SECRET).update(head).digest('base64url')}`;
}

/** `in`, or the code of the refusal. Anything else that is thrown is a fault. */
async function outcome(token: string): Promise<string> {
  try {
    await verify(token, now);
    return 'in';
  } catch (error) {
    if (error instanceof ChatError && error.kind === 'unauthenticated') return error.code;
    throw error;
  }
}

const claims = {sub: 'alice', iat: now, exp: now + 60};
const valid = [signed('{"alg":"HS256"}', JSON.stringify(claims)), ...pairs.map(pair => pair.token(claims))];
const runs = {numRuns: 1_500};

test('the tokens that are bent below are right before that', async t => {
  for (const token of valid) t.is(await outcome(token), 'in');
});

test('no text gets in or does harm', async t => {
  const dotted = fc.array(fc.oneof(fc.base64String(), fc.string()), {maxLength: 6}).map(parts => parts.join('.'));
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string({unit: 'binary', maxLength: 300}), dotted), async text => {
      t.not(await outcome(text), 'in');
    }),
    runs,
  );
  t.pass();
});

test('a right token with one character changed, taken out or put in is refused', async t => {
  const edit = fc.record({
    token: fc.constantFrom(...valid),
    at: fc.nat(2_000),
    gone: fc.nat(2),
    put: fc.oneof(fc.string({maxLength: 2}), fc.constantFrom('.', '=', '-', '_', 'A', '+', '/', ' ', '\n', '\0')),
  });
  await fc.assert(
    fc.asyncProperty(edit, async ({token, at, gone, put}) => {
      const place = at % (token.length + 1);
      const bent = token.slice(0, place) + put + token.slice(place + gone);
      if (!valid.includes(bent)) t.not(await outcome(bent), 'in', bent);
    }),
    runs,
  );
  t.pass();
});

test('parts of right tokens put together anew are refused', async t => {
  const parts = valid.map(token => token.split('.'));
  const mixed = fc.tuple(...[0, 1, 2].map(i => fc.constantFrom(...parts.map(each => each[i] ?? ''))));
  await fc.assert(
    fc.asyncProperty(mixed, async all => {
      const token = all.join('.');
      // The payloads are the same, so that a head and a signature of one token make that token again.
      t.is((await outcome(token)) === 'in', valid.includes(token));
    }),
    {numRuns: 200},
  );
  t.pass();
});

test('a right signature over any header and any claims lets in only who is fit', async t => {
  const time = fc.oneof(
    {weight: 8, arbitrary: fc.integer({min: now - 100, max: now + 1_000})},
    {weight: 1, arbitrary: fc.double()},
    {weight: 1, arbitrary: fc.constantFrom(-1, 0, 'soon', null, true, [now + 60], 1e300)},
  );
  const subject = fc.oneof(
    fc.stringMatching(/^[a-z0-9@.]{1,8}$/),
    fc.string(),
    fc.integer(),
    fc.constantFrom('..', 'a/b', '', null, {}, ['alice'], 1.5),
  );
  const header = fc.oneof(
    {weight: 4, arbitrary: fc.constant({alg: 'HS256'})},
    {weight: 1, arbitrary: fc.record({alg: fc.constantFrom('HS256', 'none', 'RS256', 'EdDSA', '', null)})},
    {
      weight: 1,
      arbitrary: fc.dictionary(fc.constantFrom('alg', 'kid', 'typ', 'crit', 'jwk', 'b64', '__proto__'), fc.jsonValue()),
    },
  );
  const seldom = (value: fc.Arbitrary<unknown>) =>
    fc.oneof({weight: 9, arbitrary: fc.constant(undefined)}, {weight: 1, arbitrary: value});
  const body = fc.record({
    sub: subject,
    exp: time,
    iat: seldom(time),
    nbf: seldom(time),
    channel: seldom(fc.jsonValue()),
    scope: seldom(fc.jsonValue()),
  });
  let admitted = 0;
  await fc.assert(
    fc.asyncProperty(
      header,
      fc.oneof({weight: 9, arbitrary: body}, {weight: 1, arbitrary: fc.jsonValue()}),
      async (head, payload) => {
        // As text, a number may be larger than any.
        const text = JSON.stringify(payload).replace('1e+300', '1e400');
        if ((await outcome(signed(JSON.stringify(head), text))) !== 'in') return;
        admitted += 1;
        const {exp, sub, channel} = JSON.parse(text) as Record<string, unknown>;
        t.is((head as {alg?: unknown}).alg, 'HS256');
        t.true(Number.isSafeInteger(exp) && Number(exp) > now);
        t.is(channel, undefined);
        t.regex(String(sub), /^[A-Za-z0-9][\w.@|:+=~-]*$/);
      },
    ),
    runs,
  );
  t.log(`${admitted} of ${runs.numRuns} were fit`);
  t.true(admitted > 20);
});
