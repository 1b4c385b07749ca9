// A process of its own that asks as fast as answers come: node … flood.ts <url> <room> <connections> <users>. It ends with
// its parent and tells the answers by status when it is told to stop.
import {Pool} from 'undici';
import {userToken} from './harness.ts';

const [url = '', room = '', connections = '', users = ''] = process.argv.slice(2);
const pool = new Pool(url, {connections: Number(connections), headersTimeout: 10_000});
const statuses: Record<string, number> = {};
let stopping = false;

async function ask(n: number): Promise<void> {
  const authorization = `Bearer ${userToken(`flood${n % Number(users)}`)}`;
  for (let turn = 0; !stopping; turn++) {
    const posts = (turn + n) % 2 === 0;
    const status = await pool
      .request({
        path: `/api/rooms/${room}/messages/`,
        method: posts ? 'POST' : 'GET',
        headers: {authorization, ...(posts && {'content-type': 'application/json'})},
        ...(posts && {body: '{"content":"flood"}'}),
      })
      .then(async ({statusCode, body}) => {
        await body.dump();
        return String(statusCode);
      })
      .catch(() => 'no answer');
    statuses[status] = (statuses[status] ?? 0) + 1;
  }
}

const all = Promise.all(Array.from({length: Number(connections)}, (_, n) => ask(n)));
process.on('message', () => {
  stopping = true;
  void all.then(() => process.send?.(statuses, () => process.disconnect()));
});
process.on('disconnect', () => process.exit());
