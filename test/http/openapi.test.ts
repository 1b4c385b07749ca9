import test from 'ava';
import {errorCodes} from '../../src/core/errors.ts';
import {listEvents} from '../../src/core/outbox.ts';
import {statuses} from '../../src/http/errors.ts';
import {openRoutes, routes} from '../../src/http/koa.ts';
import {events} from '../../src/http/schemas.ts';
import {apiToken, operator, serviceToken} from '../helpers/chat.ts';
import {databases} from '../helpers/database.ts';
import {ask, startApi, testRoom, type Api} from '../helpers/http.ts';

type Operation = {
  operationId: string;
  security?: unknown[];
  parameters?: {in: string; name: string; schema: {[key: string]: unknown}}[];
  requestBody?: {content: {[type: string]: {schema: object}}};
  responses: {[status: string]: {content?: {[type: string]: {schema: object}}}};
};
interface Document {
  openapi: string;
  servers: {url: string}[];
  paths: {[path: string]: {[method: string]: Operation}};
  components: {schemas: {[name: string]: {properties?: {[name: string]: unknown}; required?: string[]}}};
  webhooks: object;
}

async function documentOf(api: Api): Promise<Document> {
  const {status, text, headers} = await ask(api, undefined, 'GET', '/api/openapi.json');
  if (status !== 200) throw new Error(text);
  if (headers.get('content-type') !== 'application/json; charset=utf-8') throw new Error('not JSON');
  return JSON.parse(text) as Document;
}

function operationsOf({paths}: Document): [string, Operation][] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, Operation] => [`${method} ${path}`, operation]),
  );
}

test('T46: every route of the router is in the document, and the other way round', async t => {
  const document = await documentOf(await startApi(t, 'sqlite'));
  const served = [...routes, ...openRoutes].map(({method, path}) => `${method} ${path}`);
  t.deepEqual(
    operationsOf(document)
      .map(([name]) => name)
      .toSorted(),
    served.toSorted(),
  );
  t.is(new Set(served).size, served.length);
});

test('metrics are in the router with a key only, and never in the document', async t => {
  const metrics = {key: 'k', contentType: 'text/plain', render: async () => 'up 1', request: () => undefined};
  const api = await startApi(t, 'sqlite', {metrics});
  t.is((await ask(api, 'k', 'GET', '/metrics')).text, 'up 1');
  t.false('/metrics' in (await documentOf(api)).paths);
});

test('the document is OpenAPI 3.1 on the public URL, and its references lead somewhere', async t => {
  const document = await documentOf(await startApi(t, 'sqlite'));
  t.regex(document.openapi, /^3\.1\./);
  t.deepEqual(document.servers, [{url: 'https://chat.example'}]);
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
  t.true(references.length > 50);
  for (const [, name = ''] of references) t.true(name in document.components.schemas, name);
  const ids = operationsOf(document).map(([, {operationId}]) => operationId);
  t.is(new Set(ids).size, ids.length);
});

test('every parameter of a path is described, and what needs no token says so', async t => {
  const document = await documentOf(await startApi(t, 'sqlite'));
  for (const [name, {parameters = [], security}] of operationsOf(document)) {
    const wanted = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    const described = parameters.filter(each => each.in === 'path').map(each => each.name);
    t.deepEqual(described, wanted, name);
    t.deepEqual(security, openRoutes.some(({method, path}) => name === `${method} ${path}`) ? [] : undefined, name);
  }
});

test('the statuses that the document tells are ones that an error can have', async t => {
  const document = await documentOf(await startApi(t, 'sqlite'));
  const possible = new Set(Object.values(statuses).map(({status}) => status));
  for (const [name, {responses}] of operationsOf(document)) {
    for (const [status, {content = {}}] of Object.entries(responses)) {
      if (Number(status) < 400 || name === 'get /readyz') continue;
      t.true(possible.has(Number(status)), `${name} ${status}`);
      t.deepEqual(Object.keys(content), ['application/problem+json'], `${name} ${status}`);
    }
  }
  t.deepEqual(
    [...new Set(Object.values(errorCodes))].filter(kind => !(kind in statuses)),
    [],
  );
});

test('limits that the checks have are in the document', async t => {
  const {paths} = await documentOf(await startApi(t, 'sqlite'));
  const limit = paths['/api/rooms/{room}/messages/']?.['get']?.parameters?.find(each => each.name === 'limit');
  t.like(limit?.schema, {type: 'integer', minimum: 1, maximum: 100, default: 100});
  const post = paths['/api/rooms/{room}/messages/']?.['post'];
  t.true(post?.parameters?.some(each => each.in === 'header' && each.name === 'Idempotency-Key'));
  t.like(post?.requestBody?.content['application/json']?.schema, {
    additionalProperties: false,
    required: ['content'],
    properties: {content: {type: 'string', minLength: 1, maxLength: 10_000}},
  });
});

test('every event is described', async t => {
  const document = await documentOf(await startApi(t, 'sqlite'));
  t.deepEqual(Object.keys(document.webhooks).toSorted(), Object.keys(events).toSorted());
});

for (const database of databases) {
  test(`${database}: every event that a change stores is what the document says`, async t => {
    const api = await startApi(t, database);
    const room = `/api/rooms/${await testRoom(api.chat)}/`;
    const [mia, service] = [apiToken('mia'), serviceToken()];
    const posted = await ask(api, mia, 'POST', `${room}messages/`, {content: 'x'});
    await ask(api, mia, 'DELETE', `${room}messages/${String(posted.at('id'))}/`);
    await ask(api, apiToken('sam'), 'POST', `${room}join/`);
    await ask(api, apiToken('sam'), 'POST', `${room}leave/`);
    await ask(api, service, 'PUT', `${room}members/mia/`, {role: 'admin'});
    await ask(api, service, 'POST', `${room}members/`, {add: ['x'], remove: ['mia']});
    await ask(api, service, 'PATCH', room, {name: 'y'});
    await ask(api, service, 'DELETE', room);
    const stored = (await listEvents(api.chat, operator, 0, 100)).map(
      ({body}) => JSON.parse(body) as {type: keyof typeof events; body: object},
    );
    for (const event of stored) events[event.type].parse(event);
    t.deepEqual([...new Set(stored.map(each => each.type))].toSorted(), Object.keys(events).toSorted());
    t.deepEqual(stored.find(each => each.type === 'message_added')?.body, posted.body);
  });
}
