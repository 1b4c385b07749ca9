import {z} from 'zod';
import {serveDocs} from '../docs.ts';
import type {OpenRoute} from '../route.ts';

/** The description of the API, for tools and to read. `describe` makes it with links on the given base. */
export function docsRoutes(describe: (base: string) => object): OpenRoute[] {
  const described = new Map<string, string>();
  return [
    {
      method: 'get',
      path: '/api/openapi.json',
      summary: 'This document',
      answers: {200: z.looseObject({openapi: z.string()})},
      refusals: [],
      serve(ctx, {publicUrl}) {
        const base = publicUrl();
        const text = described.get(base) ?? JSON.stringify(describe(base));
        described.set(base, text);
        ctx.type = 'application/json';
        ctx.body = text;
      },
    },
    {
      method: 'get',
      path: '/api/docs/',
      summary: 'This document as a page',
      answers: {200: z.string()},
      mediaType: 'text/html',
      refusals: [404],
      serve: ctx => serveDocs(ctx, ''),
    },
    {
      method: 'get',
      path: '/api/docs/{file}',
      summary: 'A script or style of that page',
      answers: {200: z.string(), 304: null},
      mediaType: '*/*',
      refusals: [404],
      serve: (ctx, _options, {file = ''}) => serveDocs(ctx, file),
    },
  ];
}
