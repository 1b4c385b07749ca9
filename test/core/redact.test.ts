// Anybody who reaches the port has a line written into the log, and every line is searched for secrets.
import test from 'ava';
import {hideSecrets} from '../../src/core/redact.ts';

const length = 256 * 1_024;
/** Far above what one look over the text takes, and far below what a look from each of its places does. */
const longMs = 2_000;

const tiring = {
  'words with dashes': 'a-',
  'words that end almost like a name': 'atoken-',
  addresses: '://a:',
  'addresses without an end': '://',
  'beginnings of a token': 'eyJ-',
  'names of headers': 'cookie ',
  'names of fields': '"token" ',
  'escaped names of fields': '\\"token\\" ',
  blanks: 'bearer  ',
};

for (const [what, piece] of Object.entries(tiring)) {
  test(`a line of many ${what} is searched in one go`, t => {
    const line = `token secret cookie ${piece.repeat(length / piece.length)}`;
    const started = performance.now();
    hideSecrets(line);
    t.true(performance.now() - started < longMs);
  });
}

test('the password of each address of a line is hidden, whatever stands in it', t => {
  t.is(
    hideSecrets('to postgres://ann:p@ss:w@db/x and redis://:pw@r:1'),
    'to postgres://ann:[secret]@db/x and redis://:[secret]@r:1',
  );
  t.is(hideSecrets('http://a/b://c:pw@d'), 'http://a/b://c:[secret]@d');
  t.is(hideSecrets('http://host:80/path token'), 'http://host:80/path token');
  t.is(hideSecrets('my_token=abc&next-secret=def,x'), 'my_token=[secret]&next-secret=[secret]');
});
