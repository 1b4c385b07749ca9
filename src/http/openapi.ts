import {createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject} from 'zod-openapi';
import {z} from 'zod';
import {version} from '../version.ts';
import type {Route} from './route.ts';
import {events, Health, Problem, Readiness} from './schemas.ts';

/** The OpenAPI 3.1 document of the routes, with the events as webhooks. */
export function openApiDocument(routes: readonly Route[], publicUrl: string): object {
  return createDocument({
    openapi: '3.1.1',
    info: {
      title: 'chatctl',
      version,
      license: {name: 'MIT', identifier: 'MIT'},
      description:
        'Rooms, members and messages. Every change reaches the members as a publication on their channel ' +
        '`personal:<user_id>`; those are the webhooks of this document.',
    },
    servers: [{url: publicUrl}],
    security: [{bearer: []}],
    components: {securitySchemes: {bearer: {type: 'http', scheme: 'bearer', bearerFormat: 'JWT'}}},
    paths: {...pathsOf(routes), ...healthPaths},
    webhooks: Object.fromEntries(
      Object.entries(events).map(([type, schema]) => [
        type,
        {
          post: {
            summary: `Published on personal:<user_id>`,
            requestBody: json(schema),
            responses: {'200': {description: 'Nothing is answered.'}},
          },
        },
      ]),
    ),
  });
}

const healthPaths: ZodOpenApiPathsObject = {
  '/healthz': {
    get: {summary: 'The process is alive', security: [], responses: {'200': {description: 'It is.', ...json(Health)}}},
  },
  '/readyz': {
    get: {
      summary: 'Fit to serve',
      security: [],
      responses: {
        '200': {description: 'It is.', ...json(Readiness)},
        '503': {description: 'It is not.', ...json(Readiness)},
      },
    },
  },
};

function json(schema: z.ZodType) {
  return {content: {'application/json': {schema}}};
}

function pathsOf(routes: readonly Route[]): ZodOpenApiPathsObject {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) paths[route.path] = {...paths[route.path], [route.method]: operationOf(route)};
  return paths;
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const names = [...route.path.matchAll(/\{([a-z]+)\}/g)].map(([, name = '']) => name);
  const path = z.object(Object.fromEntries(names.map(name => [name, pathParameters[name] ?? z.string()])));
  return {
    summary: route.summary,
    operationId: `${route.method}${route.path.replaceAll(/[^a-z]+/g, '_').replace(/_$/, '')}`,
    requestParams: {...(names.length > 0 && {path}), ...(route.query && {query: route.query})},
    ...(route.body && {requestBody: {required: true, ...json(route.body)}}),
    responses: {...successes(route), ...refusals(route)},
  };
}

const pathParameters: Record<string, z.ZodType> = {room: z.int().positive(), message: z.int().positive()};

function successes(route: Route) {
  return Object.fromEntries(
    Object.entries(route.answers).map(([status, schema]) => [
      status,
      {description: 'Done.', ...(schema && json(schema))},
    ]),
  );
}

function refusals(route: Route) {
  return Object.fromEntries(
    [400, 401, ...route.refusals].map(status => [
      String(status),
      {description: 'Refused.', content: {'application/problem+json': {schema: Problem}}},
    ]),
  );
}
