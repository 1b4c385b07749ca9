// What is begun first of what comes in one turn of the event loop.
import {connect} from 'node:net';
import test from 'ava';
import {connectWire, requestText} from '../../scripts/bench/wire.ts';
import {apiToken} from '../helpers/chat.ts';
import {startApi} from '../helpers/http.ts';
import {until} from '../helpers/until.ts';

test('who asks now and then is begun among many requests of one caller that came in a heap, and all are answered', async t => {
  const begun: string[] = [];
  const pass = () => Promise.resolve();
  const api = await startApi(t, 'sqlite', {
    limits: {
      admit: async (_ctx, _route, actor) => void begun.push(actor.kind === 'user' ? actor.id : ''),
      admitAnybody: pass,
      refused: pass,
    },
  });
  const [flood, calm] = [connect(api.port, '127.0.0.1'), await connectWire(api.url)];
  t.teardown(() => [flood.destroy(), calm.close()]);
  const heap = 100;
  let answers = '';
  flood.setEncoding('latin1').on('data', (piece: string) => (answers += piece));
  flood.write(requestText('GET', '/api/rooms/', apiToken('mia')).repeat(heap));
  t.is(await calm.send(requestText('GET', '/api/rooms/', apiToken('sam'))), 200);
  const place = begun.indexOf('sam');
  t.true(place >= 0 && place < heap / 2, `begun as the ${place}th`);
  await until(() => answers.split('HTTP/1.1 200').length === heap + 1, 'all of the heap');
});
