// The embedded endpoint alone in a process: the broker that several servers share where there is no Centrifugo.
import {startEndpoint} from '../../../src/realtime/endpoint.ts';

const endpoint = await startEndpoint({
  host: '127.0.0.1',
  port: Number(process.env['PORT'] ?? 0),
  tokenSecret: process.env['CENTRIFUGO_TOKEN_SECRET'] ?? '',
  apiKey: process.env['CENTRIFUGO_API_KEY'],
});
process.send?.({port: endpoint.port});
process.once('SIGTERM', () => void endpoint.close().then(() => process.exit()));
// Nobody is left to use it.
process.once('disconnect', () => process.exit());
