// T16, E65, E114: three kinds of token and three doors, each passes its own only.
import test, {type ExecutionContext} from 'ava';
import {mintApiToken, mintConnectionToken, mintSubscriptionToken} from '../../src/core/tokens.ts';
import type {RunningServer} from '../../src/serve.ts';
import {testSecrets, userId} from '../helpers/chat.ts';
import {ask, rawClient} from '../helpers/realtime.ts';
import {request, startTestServer} from '../helpers/server.ts';

const alice = userId('alice');
const now = Math.floor(Date.now() / 1_000);
const {JWT_SECRET, CENTRIFUGO_TOKEN_SECRET} = testSecrets;

const tokens = {
  api: mintApiToken(JWT_SECRET, {sub: 'alice'}, 600, now).token,
  connection: mintConnectionToken(CENTRIFUGO_TOKEN_SECRET, alice, now, 600).token,
  subscription: mintSubscriptionToken(CENTRIFUGO_TOKEN_SECRET, alice, 'personal:alice', now, 600).token,
};

type Door = (t: ExecutionContext, server: RunningServer, token: string) => Promise<boolean>;

const doors: Record<keyof typeof tokens, Door> = {
  async api(_, server, token) {
    return (await request(server, token, 'GET', '/api/rooms/')).status === 200;
  },
  async connection(t, server, token) {
    const client = await rawClient(t, {url: server.realtimeUrl ?? ''});
    client.send({id: 1, connect: {token}});
    return Promise.race([client.next().then(reply => 'connect' in reply), client.closed.then(() => false)]);
  },
  async subscription(t, server, token) {
    const client = await rawClient(t, {url: server.realtimeUrl ?? ''});
    await ask(client, {id: 1, connect: {token: tokens.connection}});
    client.send({id: 2, subscribe: {channel: 'personal:alice', token}});
    return Promise.race([client.next().then(reply => 'subscribe' in reply), client.closed.then(() => false)]);
  },
};

for (const [door, tries] of Object.entries(doors)) {
  for (const [kind, token] of Object.entries(tokens)) {
    const right = door === kind;
    test(`the ${door} door ${right ? 'takes' : 'refuses'} an ${kind} token`, async t => {
      t.is(await tries(t, await startTestServer(t, 'sqlite'), token), right);
    });
  }
}
