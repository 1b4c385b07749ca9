import {createDocument, type ZodOpenApiOperationObject, type ZodOpenApiPathsObject} from 'zod-openapi';
import {z} from 'zod';
import {version} from '../version.ts';
import type {OpenRoute, Route} from './route.ts';
import {events, Problem} from './schemas.ts';

/** The OpenAPI 3.1 document of the routes, with the events as webhooks. */
export function openApiDocument(routes: readonly (Route | OpenRoute)[], publicUrl: string): object {
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
    paths: pathsOf(routes),
    webhooks: Object.fromEntries(
      Object.entries(events).map(([type, schema]) => [
        type,
        {
          post: {
            summary: `Published on personal:<user_id>`,
            requestBody: content(schema),
            responses: {'200': {description: 'Nothing is answered.'}},
          },
        },
      ]),
    ),
  });
}

function content(schema: z.ZodType, mediaType = 'application/json') {
  return {content: {[mediaType]: {schema}}};
}

function pathsOf(routes: readonly (Route | OpenRoute)[]): ZodOpenApiPathsObject {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) paths[route.path] = {...paths[route.path], [route.method]: operationOf(route)};
  return paths;
}

function operationOf(route: Route | OpenRoute): ZodOpenApiOperationObject {
  const {query, headers, body} = route;
  const names = [...route.path.matchAll(/\{([a-z]+)\}/g)].map(([, name = '']) => name);
  const path = z.object(Object.fromEntries(names.map(name => [name, pathParameters[name] ?? z.string()])));
  return {
    summary: route.summary,
    operationId: `${route.method}${route.path.replaceAll(/[^a-z]+/g, '_').replace(/_$/, '')}`,
    ...('serve' in route && {security: []}),
    requestParams: {...(names.length > 0 && {path}), ...(query && {query}), ...(headers && {header: headers})},
    ...(body && {requestBody: {required: true, ...content(body)}}),
    responses: {...successes(route), ...refusals(route)},
  };
}

const pathParameters: Record<string, z.ZodType> = {room: z.int().positive(), message: z.int().positive()};

function successes({answers, mediaType}: Route | OpenRoute) {
  return Object.fromEntries(
    Object.entries(answers).map(([status, schema]) => [
      status,
      {description: 'Answered.', ...(schema && content(schema, mediaType))},
    ]),
  );
}

/** What every route that needs a token may answer: bad input, no token, too often, too long, an accident, too much. */
const everywhere = [400, 401, 429, 431, 500, 503];

function anybody({unlimited}: OpenRoute): number[] {
  return unlimited ? [400, 431, 500] : [400, 429, 431, 500, 503];
}

function refusals(route: Route | OpenRoute) {
  const statuses = new Set([...('serve' in route ? anybody(route) : everywhere), ...route.refusals]);
  return Object.fromEntries(
    [...statuses].map(status => [
      String(status),
      {description: 'Refused.', ...content(Problem, 'application/problem+json')},
    ]),
  );
}
