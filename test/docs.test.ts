import {execFile} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {promisify} from 'node:util';
import test from 'ava';
import {routes} from '../src/http/koa.ts';
import {exitMeanings, exits} from '../src/cli/exit.ts';

const run = promisify(execFile);
const readme = readFileSync('README.md', 'utf8');

test('the README has the commands and settings of the code', async t => {
  await t.notThrowsAsync(run(process.execPath, ['--import', 'tsx', 'scripts/readme.mjs', '--check']));
});

for (const {method, path} of routes) {
  test(`the README tells of ${method} ${path}`, t => {
    const words = path.replaceAll(
      /\{([a-z]+)\}/g,
      (_, name) => `<${name === 'room' || name === 'message' ? 'id' : name}>`,
    );
    const short = words.replace('/api/rooms/<id>', '…');
    const alternative = words.replace('/api/rooms/search/', '/api/search/');
    t.true(
      [words, short, alternative].some(each => readme.includes(each)),
      words,
    );
    t.true(readme.includes(method.toUpperCase()));
  });
}

for (const name of Object.keys(exits) as (keyof typeof exits)[]) {
  test(`the README tells of exit code ${exits[name]}`, t => {
    t.regex(readme, new RegExp(`\\| [\\d, ]*\\b${exits[name]}\\b[\\d, ]*\\s*\\|`), exitMeanings[name]);
  });
}
