// Which browser pages may call the API: `https://app.example`, and any port of `http://localhost`.
import test from 'ava';
import {apiToken} from '../helpers/chat.ts';
import {ask, sendRaw, startApi} from '../helpers/http.ts';
import {foreignOrigins} from '../helpers/origins.ts';

for (const origin of [...foreignOrigins, 'https://APP.example', 'http://localhost:3000.evil', 'http://localhost:x']) {
  test(`T25: a page of ${origin} may not read answers`, async t => {
    const api = await startApi(t, 'sqlite');
    const head = [`GET /api/rooms/ HTTP/1.1`, 'Host: a', `Origin: ${origin}`];
    const preflight = [`OPTIONS /api/rooms/ HTTP/1.1`, ...head.slice(1), 'Access-Control-Request-Method: POST'];
    for (const request of [head, preflight]) {
      const {headers} = await sendRaw(api, request);
      t.is(headers.get('access-control-allow-origin'), null);
      t.is(headers.get('access-control-allow-credentials'), null);
      t.regex(headers.get('vary') ?? '', /Origin/);
    }
  });
}

for (const origin of ['https://app.example', 'http://localhost:3000']) {
  test(`T25: a page of ${origin} may read answers and refusals, and ask before it posts`, async t => {
    const api = await startApi(t, 'sqlite');
    for (const token of [undefined, apiToken('mia')]) {
      const {headers} = await ask(api, token, 'GET', '/api/rooms/', undefined, {origin});
      t.is(headers.get('access-control-allow-origin'), origin);
      t.is(headers.get('access-control-allow-credentials'), null);
      t.regex(headers.get('access-control-expose-headers') ?? '', /Idempotency-Replayed/);
      t.regex(headers.get('vary') ?? '', /Origin/);
    }
    const preflight = await sendRaw(api, [
      'OPTIONS /api/rooms/7/messages/ HTTP/1.1',
      'Host: a',
      `Origin: ${origin}`,
      'Access-Control-Request-Method: POST',
      'Access-Control-Request-Headers: authorization,content-type,idempotency-key',
    ]);
    t.is(preflight.status, 204);
    t.is(preflight.headers.get('access-control-allow-origin'), origin);
    t.regex(preflight.headers.get('access-control-allow-methods') ?? '', /POST/);
    t.regex(preflight.headers.get('access-control-allow-headers') ?? '', /authorization/);
    t.is(preflight.headers.get('access-control-max-age'), '600');
  });
}
