// What an OpenAPI document promises, as something that answers can be held to.
import {z} from 'zod';

type Json = Record<string, unknown>;

export interface Operation {
  method: string;
  path: string;
  parameters: {in: string; name: string; schema: Json}[];
  body: Json | undefined;
  /** By status: the media type and what an answer must be; undefined where there is no body. */
  answers: Map<number, {mediaType: string; schema: z.ZodType} | undefined>;
}

/** The operations of a document, with their references resolved. */
export function operationsOf(document: Json): Operation[] {
  const schemas = (document['components'] as {schemas: Json}).schemas;
  return Object.entries(document['paths'] as Record<string, Record<string, Json>>).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      parameters: (operation['parameters'] ?? []) as Operation['parameters'],
      body: resolved(contentOf(operation['requestBody'])?.schema, schemas),
      answers: new Map(
        Object.entries(operation['responses'] as Json).map(([status, response]) => [
          Number(status),
          answerOf(response, schemas),
        ]),
      ),
    })),
  );
}

function contentOf(holder: unknown): {mediaType: string; schema: Json} | undefined {
  const content = (holder as {content?: Record<string, {schema: Json}>} | undefined)?.content;
  const [first] = Object.entries(content ?? {});
  return first && {mediaType: first[0], schema: first[1].schema};
}

function answerOf(response: unknown, schemas: Json): {mediaType: string; schema: z.ZodType} | undefined {
  const content = contentOf(response);
  if (!content) return undefined;
  const {mediaType, schema} = content;
  return {mediaType, schema: z.fromJSONSchema(resolved(schema, schemas))};
}

/** The schema with what it refers to written out; the document has no cycles. */
function resolved<T>(schema: T, schemas: Json): T {
  if (Array.isArray(schema)) return schema.map(each => resolved<unknown>(each, schemas)) as T;
  if (typeof schema !== 'object' || schema === null) return schema;
  const reference = (schema as Json)['$ref'];
  if (typeof reference === 'string') return resolved(schemas[reference.split('/').at(-1) ?? ''], schemas) as T;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, resolved<unknown>(value, schemas)]),
  ) as T;
}

/** The operations whose path this one is, those without parameters first. */
export function operationsAt(operations: readonly Operation[], path: string): Operation[] {
  const bare = path.replace(/\/$/, '');
  const fits = operations.filter(each => patternOf(each.path).test(bare));
  const isLiteral = ({path: each}: Operation) => each.replace(/\/$/, '') === bare;
  return fits.toSorted((a, b) => Number(isLiteral(b)) - Number(isLiteral(a)));
}

const patterns = new Map<string, RegExp>();

function patternOf(path: string): RegExp {
  const known = patterns.get(path);
  if (known) return known;
  const bare = path.replace(/\/$/, '').replaceAll('.', '\\.');
  const made = new RegExp(`^${bare.replaceAll(/\{[a-z]+\}/g, '[^/]+')}$`);
  patterns.set(path, made);
  return made;
}
