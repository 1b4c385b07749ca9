// A process of its own that, once told to begin, holds sockets that send a byte of a header each second and come back when
// they are cut: node … slow-sockets.ts <url> <sockets>. It ends with its parent and tells when it is told to stop how many
// were cut. Whoever measures would otherwise stand still itself when all of them are cut at once.
import {connect, type Socket} from 'node:net';

const [url = '', count = ''] = process.argv.slice(2);
const {hostname, port} = new URL(url);
const open = new Set<Socket>();
let cut = 0;
let stopping = false;

function start(): void {
  const socket = connect(Number(port), hostname);
  open.add(socket);
  socket.on('error', () => undefined).resume();
  socket.on('close', () => {
    open.delete(socket);
    if (stopping) return;
    cut += 1;
    start();
  });
  socket.write('GET /api/rooms/ HTTP/1.1\r\nHost: a\r\nX-Slow: ');
}

let drip: NodeJS.Timeout | undefined;
process.on('message', told => {
  if (told === 'begin') {
    for (let i = 0; i < Number(count); i++) start();
    drip = setInterval(() => {
      for (const socket of open) socket.write('x');
    }, 1_000);
    return;
  }
  stopping = true;
  clearInterval(drip);
  for (const socket of open) socket.destroy();
  process.send?.(cut, () => process.disconnect());
});
process.on('disconnect', () => process.exit());
process.send?.('loaded');
