import test from 'ava';
import {ChatError} from '../../src/core/errors.ts';
import {rememberTokens} from '../../src/core/token-cache.ts';
import type {ApiClaims, VerifyApiToken} from '../../src/core/tokens.ts';
import {userId} from '../helpers/chat.ts';

const now = 1_800_000_000;

/** A verifier that counts, and says what it is told to. */
function counting(expiresAt?: number) {
  const state = {calls: 0, valid: true};
  const verify: VerifyApiToken = token => {
    state.calls += 1;
    if (!state.valid) throw new ChatError('invalid_token', 'The token is refused.');
    return {kind: 'user', id: userId(token), username: undefined, expiresAt} satisfies ApiClaims;
  };
  return {state, verify};
}

test('a token that was valid is not verified again within the minute, and is after it', t => {
  const {state, verify} = counting();
  const remembered = rememberTokens(verify);
  t.like(remembered('alice', now), {id: 'alice'});
  t.like(remembered('alice', now + 59), {id: 'alice'});
  t.is(state.calls, 1);
  state.valid = false;
  t.throws(() => remembered('alice', now + 60), {code: 'invalid_token'});
});

test('a remembered token expires at its time all the same', t => {
  const {state, verify} = counting(now + 10);
  const remembered = rememberTokens(verify);
  remembered('alice', now);
  t.notThrows(() => remembered('alice', now + 9));
  t.throws(() => remembered('alice', now + 10), {code: 'token_expired'});
  t.is(state.calls, 1);
});

test('a refused token is verified every time', t => {
  const {state, verify} = counting();
  state.valid = false;
  const remembered = rememberTokens(verify);
  for (let i = 0; i < 3; i++) t.throws(() => remembered('alice', now), {code: 'invalid_token'});
  t.is(state.calls, 3);
  state.valid = true;
  t.notThrows(() => remembered('alice', now));
});

test('a clock that is set back makes no token younger', t => {
  const {state, verify} = counting();
  const remembered = rememberTokens(verify);
  remembered('alice', now);
  remembered('alice', now - 3_600);
  t.is(state.calls, 2);
});

test('one token never stands for another, and only so many are kept', t => {
  const {state, verify} = counting();
  const remembered = rememberTokens(verify, 2);
  for (const user of ['alice', 'bob', 'carol']) t.like(remembered(user, now), {id: user});
  t.like(remembered('bob', now), {id: 'bob'});
  t.is(state.calls, 3);
  t.like(remembered('alice', now), {id: 'alice'});
  t.is(state.calls, 4);
});
