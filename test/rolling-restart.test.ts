// Servers behind a balancer that are replaced one by one under load: no request is refused, and none that was accepted
// loses its connection.
import {fork, type ChildProcess} from 'node:child_process';
import {once} from 'node:events';
import {Agent, createServer, request as httpRequest, type IncomingMessage, type ServerResponse} from 'node:http';
import {connect, type AddressInfo} from 'node:net';
import {text as socketText} from 'node:stream/consumers';
import test, {type ExecutionContext} from 'ava';
import {batchServerKey, startBatchServer} from './helpers/batch-server.ts';
import {apiToken, serviceToken, testSecrets} from './helpers/chat.ts';
import {databases, emptyDatabase} from './helpers/database.ts';
import {request, startTestServer} from './helpers/server.ts';
import {until} from './helpers/until.ts';

interface Backend {
  child: ChildProcess;
  port: number;
  ended: Promise<number | null>;
}

async function startBackend(t: ExecutionContext, env: Record<string, string>): Promise<Backend> {
  const child = fork('dist/bin/chatctl.js', ['serve', '--migrate'], {
    env: {PATH: process.env['PATH'], ...testSecrets, PORT: '0', ...env},
    execArgv: [],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const ended = new Promise<number | null>(resolve => {
    child.once('exit', code => resolve(code));
  });
  let text = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    if (!text.includes('chatctl serves')) text += chunk.toString();
  });
  const line = await until(
    () => text.split('\n').find(each => each.includes('chatctl serves') && each.endsWith('}')),
    'a server',
    60_000,
  );
  return {child, port: Number(new URL((JSON.parse(line) as {api: string}).api).port), ended};
}

interface Balancer {
  apiUrl: string;
  /** Where requests go, in turn; those under way stay where they are. */
  backends: Backend[];
  /** Requests that were sent and not answered. */
  cut: string[];
}

/**
 * A balancer as they are: connections to its backends are kept. A request for which there is no connection to be had
 * goes to the next, and so does one on a kept connection that ends without a word: both may end it while it is idle, and
 * nobody has begun with the request. Whether that is true shows, as every post has a client id.
 */
async function startBalancer(t: ExecutionContext): Promise<Balancer> {
  const agent = new Agent({keepAlive: true});
  const balancer: Balancer = {apiUrl: '', backends: [], cut: []};
  let turn = 0;

  function forward(incoming: IncomingMessage, body: Buffer, response: ServerResponse, to: number, triesLeft = 1): void {
    const backend = balancer.backends[to % balancer.backends.length];
    const {method, url} = incoming;
    const {connection: _, ...headers} = incoming.headers;
    const outgoing = httpRequest({agent, host: '127.0.0.1', port: backend?.port, method, path: url, headers});
    outgoing.on('response', answer => {
      // Each side keeps its own connections.
      const {connection: _, 'keep-alive': __, ...passedOn} = answer.headers;
      response.writeHead(answer.statusCode ?? 502, passedOn);
      answer.on('error', (error: Error) => balancer.cut.push(`${method} ${url} in its answer: ${error.message}`));
      answer.pipe(response);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      const idle = outgoing.reusedSocket && error.code === 'ECONNRESET';
      if ((error.code === 'ECONNREFUSED' || idle) && triesLeft > 0)
        return forward(incoming, body, response, to + 1, triesLeft - 1);
      balancer.cut.push(`${method} ${url}: ${error.message}`);
      response.writeHead(502).end();
    });
    outgoing.end(body);
  }

  const server = createServer({keepAliveTimeout: 60_000}, (incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => forward(incoming, Buffer.concat(chunks), response, turn++));
  });
  await new Promise<void>(resolve => {
    server.listen(0, '127.0.0.1', resolve);
  });
  t.teardown(async () => {
    agent.destroy();
    server.closeAllConnections();
    await new Promise(resolve => server.close(resolve));
  });
  balancer.apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return balancer;
}

if (databases.includes('postgres')) {
  test('servers that are replaced under load refuse no request and reset none', async t => {
    const broker = await startBatchServer(t, 5_000);
    const env = {
      DATABASE_URL: await emptyDatabase(t, 'postgres'),
      CENTRIFUGO_API_URL: broker.url,
      CENTRIFUGO_API_KEY: batchServerKey,
    };
    const balancer = await startBalancer(t);
    balancer.backends = [await startBackend(t, env), await startBackend(t, env)];
    const created = await request(balancer, serviceToken(), 'POST', '/api/rooms/', {name: 'busy', members: ['alice']});
    const path = `/api/rooms/${String(created.body['id'])}/messages/`;
    let going = true;
    const statuses = {GET: new Map<number, number>(), POST: new Map<number, number>()};
    const posted = () => statuses.POST.get(201) ?? 0;
    const client = async (method: 'GET' | 'POST', name: number) => {
      for (let n = 0; going; n++) {
        const body = method === 'GET' ? undefined : {content: 'hello', client_id: `${name}-${n}`};
        const {status} = await request(balancer, apiToken('alice'), method, path, body);
        statuses[method].set(status, (statuses[method].get(status) ?? 0) + 1);
      }
    };
    const clients = Array.from({length: 12}, (_, i) => client(i % 3 === 0 ? 'GET' : 'POST', i));

    for (let i = 0; i < 3; i++) {
      const [old, other] = balancer.backends;
      if (!old || !other) throw new Error('a server is missing');
      // The balancer is told nothing: it goes on with the connections that it has.
      old.child.kill('SIGTERM');
      t.is(await old.ended, 143);
      balancer.backends = [other, await startBackend(t, env)];
      const before = posted();
      await until(() => posted() > before, 'posts', 60_000);
    }
    going = false;
    await Promise.all(clients);
    t.deepEqual(balancer.cut, []);
    t.deepEqual([...statuses.GET.keys()], [200]);
    // A 200 would be the repeat of a post that was stored and whose answer was cut off.
    t.deepEqual([...statuses.POST.keys()], [201]);
    const {body} = await request(balancer, apiToken('alice'), 'GET', path);
    t.like(body, {count: posted()});
  });
}

test('a server that closes takes the connections that were made before, and serves them', async t => {
  const server = await startTestServer(t, 'sqlite');
  const {hostname, port} = new URL(server.apiUrl);
  const many = 60;
  const sockets = Array.from({length: many}, () => connect(Number(port), hostname));
  const ends = sockets.map(socket => {
    t.teardown(() => socket.destroy());
    socket.write('GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n');
    return socketText(socket).catch((error: NodeJS.ErrnoException) => error.code);
  });
  // The system makes them all at once; libuv hands one of them on in a turn of the event loop.
  await Promise.all(sockets.map(socket => once(socket, 'connect')));
  await server.close({lastRequestsMs: 50});
  const answers = await Promise.all(ends);
  t.deepEqual(
    answers.filter(answer => !answer?.startsWith('HTTP/1.1 200')),
    [],
  );
});
