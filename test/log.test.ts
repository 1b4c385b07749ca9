import test from 'ava';
import {onceATurn, withoutSecrets} from '../src/log.ts';

test('log lines of one turn go out together, in order and without secrets, and those of the next by themselves', async t => {
  const written: string[] = [];
  const log = onceATurn(withoutSecrets({write: text => written.push(text)}));
  const turn = () => new Promise(resolve => setImmediate(resolve));
  log.write('one\n');
  log.write('Authorization: Bearer abc.def\n');
  log.write('three\n');
  t.deepEqual(written, []);
  await turn();
  t.deepEqual(written, ['one\nAuthorization: [secret]\nthree\n']);
  log.write('four\n');
  await turn();
  t.deepEqual(written.slice(1), ['four\n']);
});
