import test from 'ava';
import {makeSecret, sampleSecrets, weaknessOf} from '../../src/core/secrets.ts';
import {bareCli} from '../helpers/cli.ts';

// T17, G1
const weak: Record<string, string> = {
  'the word itself': 'secret',
  'its upper case': 'SECRET',
  'a word with blanks around': ' changeme ',
  'the sample of jwt.io': 'your-256-bit-secret',
  'its long sample': 'a-string-secret-at-least-256-bits-long',
  'the sample of Centrifugo’s documentation': 'bbe7d157-a253-4094-9759-06a8236543f9',
  'what Django makes for a new project': 'django-insecure-9u2$k1x_8m@!q3v0z7w5y4t6r8e1p0o9i2u3y',
  'one letter 64 times': 'x'.repeat(64),
  'a word again and again': 'secret'.repeat(8),
  'a word again and again, cut off': 'changeme'.repeat(5).slice(0, 37),
  'digits in a row': '0123456789'.repeat(4),
  'the alphabet and digits': 'abcdefghijklmnopqrstuvwxyz0123456789',
  '31 bytes': makeSecret().slice(0, 31),
  'four letters in any order': 'abbacdadbcabdcabdacbdbacdbcabdacbadcbda',
  nothing: '',
};

for (const [title, secret] of Object.entries(weak)) {
  test(`weak: ${title}`, t => t.is(typeof weaknessOf(secret), 'string'));
}

test('every secret of the list is weak, and there are more than twenty', t => {
  t.deepEqual(
    sampleSecrets.filter(each => weaknessOf(each) === undefined),
    [],
  );
  t.true(sampleSecrets.length > 20);
});

test('what is made at random is never taken for weak', t => {
  const made = Array.from({length: 2_000}, makeSecret);
  t.deepEqual(
    made.filter(each => weaknessOf(each) !== undefined),
    [],
  );
});

// T17, T24, G1, G7, G11, G12
const env = {NODE_ENV: 'production', JWT_SECRET: makeSecret(), CENTRIFUGO_TOKEN_SECRET: makeSecret()};
const refused: Record<string, Record<string, string>> = {
  'a sample': {JWT_SECRET: 'your-256-bit-secret'},
  'no secret': {JWT_SECRET: ''},
  'no secret for real-time tokens': {CENTRIFUGO_TOKEN_SECRET: ''},
  'the word secret': {JWT_SECRET: 'secret'},
  'a secret of 31 bytes': {JWT_SECRET: makeSecret().slice(0, 31)},
  'a repeated character': {CENTRIFUGO_TOKEN_SECRET: 'z'.repeat(40)},
  'a weak previous secret': {JWT_SECRET_PREVIOUS: 'secret'},
  'one secret for both': {CENTRIFUGO_TOKEN_SECRET: env.JWT_SECRET},
  'a verify URL on a metadata address': {AUTH_VERIFY_URL: 'http://169.254.169.254/verify'},
  'a JWKS URL on one in IPv6': {JWT_JWKS_URL: 'http://[::ffff:169.254.169.254]/jwks'},
  'a public key that is none': {JWT_PUBLIC_KEY: 'MIIB'},
  'a broken set of keys': {JWT_KEYS: '{"keys":[]}'},
  'no key of an allowed algorithm': {JWT_ALGORITHMS: 'RS256'},
};
for (const [title, wrong] of Object.entries(refused)) {
  test(`production does not start with ${title}: exit 2, and no secret is shown`, async t => {
    const cli = await bareCli(t, 'sqlite');
    const {code, stderr} = await cli(['serve', '--migrate'], {env: {...env, ...wrong}});
    t.is(code, 2, stderr);
    for (const value of Object.values({...env, ...wrong}).filter(each => each.length > 12 && !/http/.test(each))) {
      t.false(stderr.includes(value), stderr);
    }
    for (const name of Object.keys(wrong)) t.regex(stderr, new RegExp(name));
  });
}
