import {readFileSync} from 'node:fs';
import {connect, createServer, type AddressInfo, type Socket} from 'node:net';
import {TLSSocket} from 'node:tls';
import type {ExecutionContext} from 'ava';

export interface Proxy {
  /** The database's URL by way of this proxy. */
  url: string;
  /** Cuts every connection and refuses new ones, as a server that restarts does. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Lets so many more commits be answered, and cuts the connection of the next one once the database has committed. */
  loseCommit(after: number): void;
}

const tlsFile = (name: string) => new URL(`tls/${name}`, import.meta.url);
/** The authority that signed the certificate of the proxy that speaks TLS. */
export const testAuthority = tlsFile('ca.pem').pathname;

/** A TCP proxy before a PostgreSQL. With `tls` it speaks TLS as a PostgreSQL does that lets in nobody without. */
export async function startProxy(t: ExecutionContext, target: string, {tls = false} = {}): Promise<Proxy> {
  const {hostname, port} = new URL(target);
  const sockets = new Set<Socket>();
  let commitsLeft = Infinity;
  const server = createServer(socket => {
    keep(socket);
    if (tls) socket.once('data', first => speakTls(socket, first));
    else forward(socket);
  });

  function keep(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
  }

  function forward(socket: Socket): void {
    const upstream = connect(Number(port), hostname);
    keep(upstream);
    socket.pipe(upstream);
    upstream.on('data', (answer: Buffer) => {
      if (answer.includes('COMMIT\0') && commitsLeft-- === 0) socket.destroy();
      else socket.write(answer);
    });
    socket.on('close', () => upstream.destroy());
    upstream.on('close', () => socket.destroy());
  }

  // https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
  function speakTls(socket: Socket, first: Buffer): void {
    const asksForTls = first.length === 8 && first.readInt32BE(4) === 80_877_103;
    if (!asksForTls) return void socket.destroy();
    socket.write('S');
    const secure = new TLSSocket(socket, {
      isServer: true,
      key: readFileSync(tlsFile('server-key.pem')),
      cert: readFileSync(tlsFile('server.pem')),
    });
    secure.on('error', () => socket.destroy());
    forward(secure);
  }

  const listen = (on: number) => new Promise<void>(resolve => server.listen(on, '127.0.0.1', resolve));
  async function down(): Promise<void> {
    const closed = new Promise(resolve => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  }
  await listen(0);
  const own = (server.address() as AddressInfo).port;
  t.teardown(() => (server.listening ? down() : undefined));
  const url = new URL(target);
  url.hostname = 'localhost';
  url.port = String(own);
  return {
    url: url.href,
    down,
    up: () => listen(own),
    loseCommit(after) {
      commitsLeft = after;
    },
  };
}
