// T3, T5, T33 to T37, T47, E27 to E29: text that means something elsewhere, errors that know secrets, and the headers of every answer.
import test from 'ava';
import {listEvents} from '../../src/core/outbox.ts';
import {openRoutes, routes} from '../../src/http/koa.ts';
import type {HttpOptions} from '../../src/http/context.ts';
import {mintOwnSubscriptionToken} from '../../src/core/tokens.ts';
import {randomOf} from '../../scripts/faults/harness.ts';
import {apiToken, operator, serviceToken, userId} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom} from '../helpers/http.ts';

const [mia, service] = [apiToken('mia'), serviceToken()];

const injections = [
  `'`,
  `"`,
  '\\',
  `' or '1'='1`,
  `'; drop table rooms; --`,
  `x'); delete from messages; --`,
  `" union select content from messages --`,
  `1; update members set role='admin'`,
  '$1 ? ?? :name @p0 %s',
  'a?b',
  `\\'; select pg_sleep(10); --`,
  `'||(select 1)||'`,
  '/* */ -- #',
  '{"$ne":null}',
  '${7*7} #{7*7} {{7*7}}',
  '%_',
  'a","method":"disconnect","x":"b',
];
const notScalars = ['{}', '[]', '[1]', '{"$gt":""}', '{"toString":1}'];

for (const database of databases) {
  test(`${database}: T33: SQL in every text field is stored as it came or refused, and does nothing`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat, {key: 'k'})}/`;
    for (const text of injections) {
      const posted = await ask(api, mia, 'POST', `${room}messages/`, {content: text, client_id: 'x'.repeat(4)});
      t.true([201, 409].includes(posted.status), posted.text);
      const own = await ask(api, mia, 'POST', `${room}messages/`, {content: text});
      t.is(own.at('content'), text.trim());
      const renamed = await ask(api, service, 'PATCH', room, {name: text});
      t.is(renamed.at('name'), text.trim());
      const found = await ask(api, mia, 'GET', `/api/search/?q=${encodeURIComponent(text)}`);
      t.is(found.at('results.0.name'), text.trim(), 'a search takes it as it stands');
      t.is((await ask(api, service, 'PUT', '/api/users/mia/', {username: text})).at('username'), text.trim());
      const id = encodeURIComponent(text);
      const elsewhere = await Promise.all([
        ask(api, mia, 'GET', `/api/rooms/${id}/`),
        ask(api, mia, 'GET', `${room}messages/${id}/`),
        ask(api, mia, 'GET', `${room}messages/?before=${id}`),
        ask(api, mia, 'GET', `/api/token/subscription/?channel=${id}`),
        ask(api, service, 'GET', `/api/users/?q=${id}`),
        ask(api, service, 'GET', `${room}members/?q=${id}`),
        ask(api, service, 'GET', `/api/rooms/by-key/${id}/`),
        ask(api, service, 'PUT', `/api/rooms/by-key/${id}/`, {name: 'x'}),
        ask(api, service, 'PUT', `${room}members/${id}/`, {}),
        ask(api, service, 'POST', `${room}members/`, {add: [text]}),
        ask(api, apiToken(text), 'GET', '/api/rooms/'),
      ]);
      for (const answer of elsewhere) t.true(answer.status < 500, answer.text);
    }
    const after = await ask(api, service, 'GET', room);
    t.is(after.at('member_count'), 2);
    t.is((await ask(api, mia, 'GET', room)).at('role'), 'member');
    t.is((await ask(api, service, 'GET', '/api/rooms/?all=true')).at('count'), 1);
  });

  test(`${database}: T33: an object or list where a scalar belongs is refused`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat, {key: 'k'})}/`;
    for (const value of notScalars) {
      for (const [method, path, field] of [
        ['POST', '/api/rooms/', 'name'],
        ['POST', '/api/rooms/', 'key'],
        ['POST', '/api/rooms/', 'visibility'],
        ['PATCH', room, 'archived'],
        ['POST', `${room}messages/`, 'content'],
        ['POST', `${room}messages/`, 'client_id'],
        ['POST', `${room}messages/`, 'user_id'],
        ['POST', `${room}read/`, 'seq'],
        ['PUT', `${room}members/lee/`, 'role'],
        ['PUT', '/api/users/mia/', 'username'],
      ] as const) {
        const name = path === '/api/rooms/' && field !== 'name' ? '"name":"x",' : '';
        const answer = await ask(api, service, method, path, `{${name}"${field}":${value}}`);
        t.is(answer.status, 400, `${method} ${path} ${field}=${value}: ${answer.text}`);
      }
      for (const query of ['limit', 'page', 'before', 'after', 'around']) {
        const answer = await ask(api, mia, 'GET', `${room}messages/?${query}=${encodeURIComponent(value)}`);
        t.is(answer.status, 400, answer.text);
        t.is((await ask(api, mia, 'GET', `${room}messages/?${query}[x]=1`)).status, 400);
      }
    }
  });

  test(`${database}: T47: nothing that a user writes leaves the JSON text of an event`, async t => {
    const api = await startApi(t, database);
    const room = await testRoom(api.chat);
    const content = '"}}\n{"method":"disconnect","params":{"user":"ann"}}\u2028';
    await ask(api, mia, 'POST', `/api/rooms/${room}/messages/`, {content});
    const event = (await listEvents(api.chat, operator, 0, 100)).find(({type}) => type === 'message_added');
    t.is(event?.body.includes('\n'), false, 'one line is one command');
    t.is((JSON.parse(event?.body ?? '{}') as {body: {content: string}}).body.content, content.trim());
    for (const id of ['a","method":"disconnect', 'a\nb', 'a#b', 'a$b', 'a*', 'a/b', 'a&b', 'personal:']) {
      const added = await ask(api, service, 'POST', `/api/rooms/${room}/members/`, {add: [id]});
      t.is(added.status, id === 'personal:' ? 200 : 400, id);
    }
  });
}

test('T36: every answer says its type and forbids to guess another, refusals as well', async t => {
  const api = await startApi(t, 'sqlite');
  const room = await testRoom(api.chat, {name: '<script>alert(1)</script>'});
  const filled = (path: string) => path.replace('{room}', String(room)).replaceAll(/\{[a-z]+\}/g, '7');
  for (const {method, path} of [...routes, ...openRoutes]) {
    for (const token of [undefined, 'x.y.z', mia, service]) {
      const body = ['post', 'put', 'patch'].includes(method) ? '{' : undefined;
      const {status, headers, text} = await ask(api, token, method.toUpperCase(), filled(path), body);
      const what = `${method} ${path} ${status}`;
      t.is(headers.get('x-content-type-options'), 'nosniff', what);
      t.regex(headers.get('content-security-policy') ?? '', /default-src 'self'/, what);
      t.is(headers.get('x-powered-by'), null, what);
      t.regex(headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/, what);
      if (status >= 400) t.is(headers.get('content-type'), 'application/problem+json', what);
      else if (text !== '' && !path.startsWith('/api/docs')) t.regex(headers.get('content-type') ?? '', /json/, what);
    }
  }
});

const secret = 'canary-postgres://chat:hunter2@db/chat';
const broken = () => {
  throw new Error(secret);
};
const rejected = () => Promise.reject(Object.assign(new Error(secret), {detail: secret, stack: secret, status: 599}));

const layers: Record<string, {options?: Omit<Partial<HttpOptions>, 'chat'>; path?: string; status?: number}> = {
  'the verifier': {options: {verifyApiToken: broken}},
  'the limits': {options: {limits: {admit: rejected, admitAnybody: rejected, refused: rejected}}},
  'the limits of open routes': {
    options: {limits: {admit: rejected, admitAnybody: rejected, refused: rejected}},
    path: '/api/openapi.json',
  },
  'what presents': {options: {publicUrl: broken}},
  'what describes': {options: {publicUrl: broken}, path: '/api/openapi.json'},
  'the readiness': {options: {ready: rejected}, path: '/readyz'},
  'the metrics': {
    options: {metrics: {key: mia, contentType: 'text/plain', render: rejected, request: () => undefined}},
    path: '/metrics',
  },
};
for (const [layer, {options, path = '/api/rooms/'}] of Object.entries(layers)) {
  test(`T37: an error of ${layer} is told without its words`, async t => {
    const api = await startApi(t, 'sqlite', options);
    const answer = await ask(api, mia, 'GET', path);
    t.is(answer.status, 500);
    t.is(answer.at('code'), 'internal');
    t.notRegex(answer.text + JSON.stringify([...answer.headers]), /canary|hunter2|Error|\.ts:/);
    t.true(api.logged().includes(String(answer.at('request_id'))), 'the log has it');
  });
}

for (const database of databases) {
  test(`${database}: T37: an error of the database or of a use case is told without its words`, async t => {
    const api = await startApi(t, database);
    const room = await testRoom(api.chat);
    api.chat.now = broken;
    for (const [method, path, body] of [
      ['POST', '/api/rooms/', {name: 'x'}],
      ['POST', `/api/rooms/${room}/messages/`, {content: 'x', user_id: 'mia'}],
      ['PUT', '/api/users/new/', {username: 'x'}],
    ] as const) {
      const answer = await ask(api, service, method, path, body);
      t.is(answer.status, 500, answer.text);
      t.notRegex(answer.text, /canary|hunter2/);
    }
  });

  test(`${database}: T37: a statement that fails tells neither its text nor its values`, async t => {
    const api = await startApi(t, database);
    const room = await testRoom(api.chat);
    await api.chat.db.writer.schema.dropTable('messages');
    for (const answer of [
      await ask(api, mia, 'POST', `/api/rooms/${room}/messages/`, {content: 'canary'}),
      await ask(api, mia, 'GET', `/api/rooms/${room}/messages/`),
    ]) {
      t.is(answer.status, 500);
      t.notRegex(answer.text, /canary|select|insert|messages|relation|table/i);
    }
  });
}

for (const database of databases) {
  test(`${database}: E27: a list does not begin at a message of another room, nor at one that is not there`, async t => {
    const api = await startApi(t, database);
    const [own, foreign] = [await testRoom(api.chat), await testRoom(api.chat, {members: []})];
    const {body} = await ask(api, service, 'POST', `/api/rooms/${foreign}/messages/`, {content: 'x'});
    for (const place of ['before', 'after', 'around']) {
      for (const id of [String(body['id']), '4711']) {
        const answer = await ask(api, mia, 'GET', `/api/rooms/${own}/messages/?${place}=${id}`);
        t.is(answer.status, 400);
        t.is(answer.at('code'), 'invalid_cursor');
      }
    }
  });

  test(`${database}: E28: a search of 10,000 characters is refused, and one of signs finds them`, async t => {
    const api = await startApi(t, database);
    await testRoom(api.chat, {name: '100% _sure_'});
    for (const path of ['/api/search/?', '/api/rooms/search/?']) {
      const long = await ask(api, mia, 'GET', `${path}q=${'x'.repeat(10_000)}`);
      t.is(long.at('code'), 'too_long', long.text);
      for (const [q, count] of Object.entries({'%': 1, _: 1, '%%': 0, '\\': 0, _sure_: 1})) {
        t.is((await ask(api, mia, 'GET', `${path}q=${encodeURIComponent(q)}`)).at('count'), count, q);
      }
    }
  });

  test(`${database}: E29: names are bounded and need not differ; keys must, and say so`, async t => {
    const api = await startApi(t, database);
    const create = (body: object) => ask(api, service, 'POST', '/api/rooms/', body);
    for (const [name, code] of [
      ['', 'blank'],
      [' ', 'blank'],
      ['x'.repeat(101), 'too_long'],
      ['a\nb', 'bad_characters'],
      ['a\u2028b', 'bad_characters'],
      ['a\u2029b', 'bad_characters'],
    ]) {
      t.is((await create({name})).at('code'), code);
    }
    for (const name of ['Lobby', 'Lobby', 'LOBBY', 'caf\u00e9', 'cafe\u0301', '\u{1F600}'.repeat(100)]) {
      const made = await create({name});
      t.is(made.status, 201, made.text);
      t.is(made.at('name'), name, 'it is stored as it was sent');
    }
    t.is((await create({name: 'x', key: 'k'})).status, 201);
    t.is((await create({name: 'y', key: 'k'})).at('code'), 'key_taken');
    t.is((await create({name: 'y', key: 'K'})).status, 201, 'keys are compared as they are written');
  });
}

test('T3: of a thousand channels that look like one’s own none but the own one gets a token', t => {
  const own = 'personal:alice';
  const signs = ['#', '$', ' ', ':', '::', ',', '/', '*', '&', '\u0000', '\u0430', '\u200b', 'A', '@', '%', '\u00e9'];
  const random = randomOf(20_261_124);
  const below = (n: number) => Math.floor(random() * n);
  const changes = [
    (text: string) => text.slice(0, below(text.length)),
    (text: string) => text.slice(below(text.length)),
    (text: string) => text.toUpperCase(),
    (text: string) => text + text,
    (text: string) => text.normalize('NFD').replace('i', 'i\u0307'),
    (text: string) =>
      `${text.slice(0, below(text.length))}${signs[below(signs.length)]}${text.slice(below(text.length))}`,
  ];
  const mint = (channel: string) => mintOwnSubscriptionToken('s'.repeat(32), userId('alice'), channel, 0);
  for (let i = 0; i < 1_000; i++) {
    const channel = changes[below(changes.length)]?.(own) ?? '';
    if (channel !== own) t.throws(() => mint(channel), {code: 'permission_denied'}, channel);
  }
  t.truthy(mint(own).token);
});
