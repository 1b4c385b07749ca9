import test from 'ava';
import {ChatError} from '../../src/core/errors.ts';
import {rememberTokens} from '../../src/core/token-cache.ts';
import type {VerifyApiToken} from '../../src/core/api-token.ts';
import type {ApiClaims} from '../../src/core/token-claims.ts';
import {userId} from '../helpers/chat.ts';

const now = 1_800_000_000;

/** A verifier that counts, and says what it is told to. */
function counting(expiresAt?: number) {
  const state = {calls: 0, valid: true};
  const verify: VerifyApiToken = async token => {
    state.calls += 1;
    if (!state.valid) throw new ChatError('invalid_token', 'The token is refused.');
    return {kind: 'user', id: userId(token), username: undefined, expiresAt} satisfies ApiClaims;
  };
  return {state, verify};
}

test('a token that was valid is not verified again within the minute, and is after it', async t => {
  const {state, verify} = counting();
  const remembered = rememberTokens(verify);
  t.like(await remembered('alice', now), {id: 'alice'});
  t.like(await remembered('alice', now + 59), {id: 'alice'});
  t.is(state.calls, 1);
  state.valid = false;
  await t.throwsAsync(remembered('alice', now + 60), {code: 'invalid_token'});
});

test('a remembered token expires at its time all the same', async t => {
  const {state, verify} = counting(now + 10);
  const remembered = rememberTokens(verify);
  await remembered('alice', now);
  await t.notThrowsAsync(remembered('alice', now + 9));
  await t.throwsAsync(remembered('alice', now + 10), {code: 'token_expired'});
  t.is(state.calls, 1);
});

test('a refused token is verified every time', async t => {
  const {state, verify} = counting();
  state.valid = false;
  const remembered = rememberTokens(verify);
  for (let i = 0; i < 3; i++) await t.throwsAsync(remembered('alice', now), {code: 'invalid_token'});
  t.is(state.calls, 3);
  state.valid = true;
  await t.notThrowsAsync(remembered('alice', now));
});

test('a clock that is set back makes no token younger', async t => {
  const {state, verify} = counting();
  const remembered = rememberTokens(verify);
  await remembered('alice', now);
  await remembered('alice', now - 3_600);
  t.is(state.calls, 2);
});

test('one token never stands for another, and only so many are kept', async t => {
  const {state, verify} = counting();
  const remembered = rememberTokens(verify, 2);
  for (const user of ['alice', 'bob', 'carol']) t.like(await remembered(user, now), {id: user});
  t.like(await remembered('bob', now), {id: 'bob'});
  t.is(state.calls, 3);
  t.like(await remembered('alice', now), {id: 'alice'});
  t.is(state.calls, 4);
});
