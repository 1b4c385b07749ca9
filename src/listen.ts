import type {AddressInfo, Server} from 'node:net';
import {ChatError} from './core/errors.ts';

/** Ports that are tried one after another where the first may be taken. */
const portTries = 20;

/** Listens and answers the port; with `nextFree` on the first free one from `port` on. Rejects with port_taken. */
export async function listen(server: Server, host: string, port: number, nextFree = false): Promise<number> {
  return onFreePort(port, nextFree, async each => {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(each, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return (server.address() as AddressInfo).port;
  });
}

/** Tries an action that needs a port on this one and, with `nextFree`, on those after it. */
export async function onFreePort<T>(port: number, nextFree: boolean, action: (port: number) => Promise<T>): Promise<T> {
  const last = nextFree && port !== 0 ? Math.min(port + portTries, 65_535) : port;
  for (let each = port; ; each++) {
    try {
      return await action(each);
    } catch (cause) {
      if (!isTaken(cause)) throw cause;
      if (each >= last) {
        throw new ChatError('port_taken', `Port ${each} is taken by another program.`, {
          cause,
          hint: 'Stop that program, or choose another with --port, or with PORT and REALTIME_PORT.',
        });
      }
    }
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EADDRINUSE' || error.code === 'EACCES');
}
