// A process of its own that, once told to begin, asks so many times a second, whether what it asked before is answered or
// not, or without a rate as fast as answers come: node … flood.ts <url> <room> <user>,… <most at once> [requests/s]. Users take
// turns, and read ten times for each post, as the limits of production let them. It ends with its parent and tells when it is told
// to stop how much it asked, and the answers by status.
import {connectWire, requestText, type Wire} from '../bench/wire.ts';
import {userToken} from './harness.ts';

const [url = '', room = '', users = '', most = '', rate] = process.argv.slice(2);
const tickMs = 10;
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
    const wire = idle.pop() ?? (await connectWire(url));
    status = String(await wire.send(request));
    idle.push(wire);
  } catch {
    // It is counted, and its connection is gone.
  }
  statuses[status] = (statuses[status] ?? 0) + 1;
}

let ticking: NodeJS.Timeout | undefined;

function begin(): void {
  const began = performance.now();
  ticking = setInterval(() => {
    const due = rate === undefined ? Infinity : (Number(rate) * (performance.now() - began)) / 1_000;
    while (asked < due && underWay.size < Number(most)) {
      const asking = ask(requests[asked++ % requests.length] ?? '').finally(() => underWay.delete(asking));
      underWay.add(asking);
    }
  }, tickMs);
}

process.on('message', told => {
  if (told === 'begin') return begin();
  clearInterval(ticking);
  void Promise.all(underWay).then(() => process.send?.({asked, statuses}, () => process.disconnect()));
});
process.on('disconnect', () => process.exit());
process.send?.('loaded');
