// A process of its own that, once told to begin, asks so many times a second, whether what it asked before is answered or
// not, or without a rate as fast as answers come: node … flood.ts <url> <room> <user>,… <most at once> [requests/s]. Users take
// turns, and read ten times for each post, as the limits of production let them. It ends with its parent and tells when it is told
// to stop how much it asked, and the answers by status.
import {connectWire, requestText, type Wire} from '../bench/wire.ts';
import {userToken} from './harness.ts';

const [url = '', room = '', users = '', most = '', rate] = process.argv.slice(2);
const tickMs = 1;
const path = `/api/rooms/${room}/messages/`;
const tokens = users.split(',').map(userToken);
const requests = [
  ...tokens.map(token => requestText('POST', path, token, '{"content":"flood"}')),
  ...Array.from({length: 10}, () => tokens.map(token => requestText('GET', path, token))).flat(),
];
const statuses: Record<string, number> = {};
const idle: Wire[] = [];
const underWay = new Set<Promise<void>>();
let asked = 0;

async function ask(request: string): Promise<void> {
  let status = 'no answer';
  try {
    // The one that has been idle for longest, as if each client had its own.
    const wire = idle.shift() ?? (await connectWire(url));
    status = String(await wire.send(request));
    idle.push(wire);
  } catch {
    // It is counted, and its connection is gone.
  }
  statuses[status] = (statuses[status] ?? 0) + 1;
}

let ticking: NodeJS.Timeout | undefined;

function begin(): void {
  let due = performance.now();
  ticking = setInterval(() => {
    const now = performance.now();
    while (due <= now && underWay.size < Number(most)) {
      if (rate !== undefined) due += (pauseByChance() * 1_000) / Number(rate);
      const asking = ask(requests[asked++ % requests.length] ?? '').finally(() => underWay.delete(asking));
      underWay.add(asking);
    }
  }, tickMs);
}

/** Between two requests of clients that know nothing of each other, where the mean is 1. */
function pauseByChance(): number {
  return -Math.log(1 - Math.random());
}

process.on('message', told => {
  if (told === 'begin') return begin();
  clearInterval(ticking);
  void Promise.all(underWay).then(() => process.send?.({asked, statuses}, () => process.disconnect()));
});
process.on('disconnect', () => process.exit());
process.send?.('loaded');
