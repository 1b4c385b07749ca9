import test from 'ava';
import {apiToken} from '../helpers/chat.ts';
import {ask, sendRaw, startApi} from '../helpers/http.ts';

test('a file that the documentation page does not have is not found', async t => {
  const api = await startApi(t, 'sqlite');
  for (const name of ['package.json', 'index.html', '..%2f..%2fpackage.json', '%2e%2e%2fpackage.json']) {
    const {status, body} = await ask(api, undefined, 'GET', `/api/docs/${name}`);
    t.is(status, 404, name);
    t.is(body['code'], 'route_not_found');
  }
});

for (const path of ['/api/docs', '/api/docs/']) {
  test(`the page at ${path} needs no token, and everything it asks for is there`, async t => {
    const api = await startApi(t, 'sqlite');
    const page = await ask(api, undefined, 'GET', path);
    t.is(page.status, 200);
    t.is(page.headers.get('content-type'), 'text/html; charset=utf-8');
    const links = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => link);
    t.is(links.length, 3);
    for (const link of links) {
      const {pathname} = new URL(link, `${api.url}${path}`);
      const file = await ask(api, undefined, 'GET', pathname);
      t.is(file.status, 200, pathname);
      t.regex(file.headers.get('content-type') ?? '', link.endsWith('.css') ? /^text\/css/ : /^text\/javascript/);
      t.true(file.text.length > 50, pathname);
    }
  });
}

test('the page has no inline script and its policy allows none', async t => {
  const api = await startApi(t, 'sqlite');
  const {text, headers} = await ask(api, undefined, 'GET', '/api/docs/');
  for (const [, attributes = '', script] of text.matchAll(/<script([^>]*)>(.*?)<\/script>/gs)) {
    t.regex(attributes, /src=/);
    t.is(script, '');
  }
  const policy = headers.get('content-security-policy') ?? '';
  t.regex(policy, /script-src 'self';/);
  t.notRegex(policy, /upgrade-insecure-requests/, 'the page is served over plain http too');
});

test('a script that the browser has already is not sent again', async t => {
  const api = await startApi(t, 'sqlite');
  const first = await ask(api, undefined, 'GET', '/api/docs/swagger-ui-bundle.js');
  const etag = first.headers.get('etag') ?? '';
  const again = await sendRaw(api, [
    'GET /api/docs/swagger-ui-bundle.js HTTP/1.1',
    'Host: a',
    `If-None-Match: ${etag}`,
  ]);
  t.is(again.status, 304);
  t.is(again.text, '');
});

test('helmet’s headers are on answers, refusals and pages alike', async t => {
  const api = await startApi(t, 'sqlite');
  const paths = ['/api/rooms/', '/api/rooms/7/', '/api/nowhere/', '/healthz', '/api/docs/'];
  for (const path of paths) {
    for (const token of [undefined, apiToken('alice')]) {
      const {headers} = await ask(api, token, 'GET', path);
      t.is(headers.get('x-content-type-options'), 'nosniff', path);
      t.is(headers.get('x-frame-options'), 'SAMEORIGIN', path);
      t.regex(headers.get('content-security-policy') ?? '', /default-src 'self'/, path);
      t.is(headers.get('x-powered-by'), null, path);
    }
  }
});
