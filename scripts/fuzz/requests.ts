// Requests that an OpenAPI document allows, and what becomes of them by mistakes of every kind.
import {gzipSync} from 'node:zlib';
import type {Operation} from './document.ts';

type Json = Record<string, unknown>;

export interface FuzzRequest {
  method: string;
  path: string;
  headers: Record<string, string>;
  body: Buffer | undefined;
}

/** Values that are there, by the name of a parameter or field, so that some requests get far. */
export type Known = Record<string, readonly (string | number)[]>;

export interface Random {
  /** From 0 to below n. */
  below(n: number): number;
  chance(share: number): boolean;
  of<T>(values: readonly T[]): T;
}

export function randomChoices(random: () => number): Random {
  const below = (n: number) => Math.floor(random() * n);
  return {
    below,
    chance: share => random() < share,
    of<T>(values: readonly T[]): T {
      const value = values[below(values.length)];
      if (value === undefined) throw new Error('there is nothing to choose from');
      return value;
    },
  };
}

const nastyTexts = [
  '',
  ' ',
  '0',
  '-1',
  'null',
  'true',
  '__proto__',
  'constructor',
  'a\u0000b',
  '\ud800',
  '\u202e\u0007\u001b[31m',
  '\u200b',
  '\ufffd',
  '\uFDFA'.repeat(50),
  '😀'.repeat(60),
  "'; drop table rooms; --",
  '" or ""="',
  '1) or (1=1',
  '${7*7}{{7*7}}',
  '%',
  '_',
  '\\',
  '../../etc/passwd',
  '<script>alert(1)</script>',
  '9223372036854775808',
  '1e400',
  'x'.repeat(300),
  'x'.repeat(20_000),
];
// prettier-ignore
const nastyValues: unknown[] = [
  0, -1, 1.5, 2 ** 31, 2 ** 53, 1e308, true, false, null, [], {}, [[]], {a: {}},
  ['mia', 'mia'], [null], {constructor: {prototype: {polluted: 1}}}, {$ne: null}, {toString: 1},
];

/** A request as the document has it, with none to three mistakes. */
export function randomRequest(
  random: Random,
  operations: readonly Operation[],
  tokens: readonly string[],
  known: Known,
): FuzzRequest {
  const operation = random.of(operations);
  const parameters = new Map<string, string>();
  const query: [string, string][] = [];
  const headers: Record<string, string> = {authorization: `Bearer ${random.of(tokens)}`};
  for (const {in: place, name, schema} of operation.parameters) {
    const value = String(valueOf(random, schema, name, known));
    if (place === 'path') parameters.set(name, value);
    else if (random.chance(0.4)) {
      if (place === 'query') query.push([name, value]);
      else headers[name] = value.replaceAll(/[^\t\x20-\xff]/g, '?');
    }
  }
  // Who is erased is gone for good, id and all, and the rest of the run needs its people.
  if (operation.path.endsWith('/erase/')) parameters.set('user', String(random.of(known['leaver'] ?? ['x'])));
  let body = operation.body && valueOf(random, operation.body, '', known);
  const mistakes = random.of([0, 1, 1, 1, 2, 3]);
  for (let i = 0; i < mistakes; i++) {
    const kind = random.of(['path', 'query', 'header', 'body', 'body']);
    if (kind === 'path' && parameters.size > 0) {
      parameters.set(random.of([...parameters.keys()]), random.of(nastyTexts) || 'x');
    } else if (kind === 'query')
      query.push([random.of([...queryNames, ...query.map(([name]) => name)]), nasty(random)]);
    else if (kind === 'header') mistakeInHeaders(random, headers);
    else body = mistakeIn(random, body);
  }
  const path = operation.path.replaceAll(/\{([a-z]+)\}/g, (_, name: string) =>
    escaped(random, parameters.get(name) ?? 'x'),
  );
  const search = query.map(([name, value]) => `${escaped(random, name)}=${escaped(random, value)}`).join('&');
  const method = random.chance(0.03)
    ? random.of(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
    : operation.method;
  const hasBody = body !== undefined && (operation.body !== undefined || random.chance(0.1));
  return {
    method,
    path: `${path}${search && `?${search}`}`,
    headers: hasBody ? {'content-type': 'application/json', ...headers} : headers,
    body: hasBody ? bytesOf(random, body, headers) : undefined,
  };
}

const queryNames = 'page limit before after around q all archived channel x __proto__ page[]'.split(' ');
const nasty = (random: Random) => random.of(nastyTexts);

/** Percent-encoded, and now and then not as it should be. */
function escaped(random: Random, text: string): string {
  const whole = encodeURIComponent(text.toWellFormed()).slice(0, 8_000);
  return random.chance(0.02) ? `${whole}${random.of(['%', '%zz', '%00', '%E0%A4%A', '%2F', '+', ';', '%ff'])}` : whole;
}

function mistakeInHeaders(random: Random, headers: Record<string, string>): void {
  const mistakes: Record<string, string[]> = {
    authorization: ['', 'Bearer', 'Basic YTpi', 'Bearer x.y.z', 'Bearer eyJhbGciOiJub25lIn0.e30.', 'bearer  x'],
    'content-type': ['text/plain', 'application/json; charset=utf-16', 'application/x-www-form-urlencoded', 'x', ''],
    'content-encoding': ['gzip', 'br', 'foo', 'identity'],
    accept: ['text/html', '*/*;q=0', 'x'],
    'idempotency-key': ['', 'a b', 'x'.repeat(256), 'k1', 'k2'],
    origin: ['null', 'https://evil.example'],
    'x-forwarded-for': ['6.6.6.6', 'x'.repeat(1_000)],
    'if-none-match': ['*'],
    range: ['bytes=0-0'],
  };
  const name = random.of(Object.keys(mistakes));
  headers[name] = random.of(mistakes[name] ?? ['']);
}

/** Somewhere in the value something else: another type, a field too much or too few, a list in between. */
function mistakeIn(random: Random, value: unknown): unknown {
  if (random.chance(0.25)) return random.chance(0.5) ? random.of(nastyValues) : random.of(nastyTexts);
  if (Array.isArray(value)) return random.chance(0.3) ? [...value, mistakeIn(random, value[0])] : [value];
  if (typeof value !== 'object' || value === null) return random.of(nastyValues);
  const entries = Object.entries(value);
  const choice = random.below(3);
  if (choice === 0) return {...value, [random.of([...fieldNames, ...nastyTexts.slice(0, 12)])]: random.of(nastyValues)};
  if (choice === 1 || entries.length === 0) return Object.fromEntries(entries.slice(1));
  const [name] = random.of(entries);
  return Object.fromEntries(entries.map(([key, each]) => [key, key === name ? mistakeIn(random, each) : each]));
}

const fieldNames =
  'id content client_id user_id name key visibility members archived seq role add remove username version created_at'.split(
    ' ',
  );

/** The body as it is sent: JSON, or JSON that something happened to. */
function bytesOf(random: Random, body: unknown, headers: Record<string, string>): Buffer {
  const bytes = Buffer.from(JSON.stringify(body) ?? '');
  if (random.chance(0.85)) return bytes;
  const at = random.below(Math.max(bytes.length, 1));
  const changes: (() => Buffer)[] = [
    () => bytes.subarray(0, at),
    () => Buffer.concat([bytes.subarray(0, at), Buffer.from([random.below(256)]), bytes.subarray(at)]),
    () => Buffer.concat([bytes, bytes]),
    () => Buffer.from(`${'['.repeat(5_000)}${']'.repeat(5_000)}`),
    () => Buffer.from(bytes.toString().replace('{', '{"__proto__":{"polluted":1},')),
    () => Buffer.from(`\ufeff${bytes.toString()}`),
    () => Buffer.alloc(70_000, ' '),
    () => {
      headers['content-encoding'] = 'gzip';
      return random.chance(0.5) ? gzipSync(bytes) : gzipSync(bytes).subarray(0, 12);
    },
  ];
  return random.of(changes)();
}

/** Something that the schema allows. */
function valueOf(random: Random, schema: Json, name: string, known: Known): unknown {
  const choices = (schema['anyOf'] ?? schema['oneOf']) as Json[] | undefined;
  if (choices) return valueOf(random, random.of(choices), name, known);
  const there = known[name];
  if (there && random.chance(0.8)) return random.of(there);
  if (Array.isArray(schema['enum'])) return random.of(schema['enum'] as unknown[]);
  const type = Array.isArray(schema['type']) ? random.of(schema['type'] as string[]) : schema['type'];
  switch (type) {
    case 'object':
      return objectOf(random, schema, known);
    case 'array':
      return Array.from({length: random.below(4)}, () => valueOf(random, schema['items'] as Json, name, known));
    case 'integer':
    case 'number':
      return 1 + random.below(Number(schema['maximum'] ?? 20) > 100 ? 20 : Number(schema['maximum'] ?? 20));
    case 'boolean':
      return random.chance(0.5);
    case 'null':
      return null;
    default:
      return random.of([
        'x',
        'general',
        'mia',
        'order-1',
        'Grüße 😀',
        'a'.repeat(Math.min(Number(schema['maxLength'] ?? 9), 99)),
      ]);
  }
}

function objectOf(random: Random, schema: Json, known: Known): Json {
  const required = (schema['required'] ?? []) as string[];
  const fields = Object.entries((schema['properties'] ?? {}) as Record<string, Json>);
  return Object.fromEntries(
    fields
      .filter(([name]) => required.includes(name) || random.chance(0.5))
      .map(([name, each]) => [name, valueOf(random, each, name, known)]),
  );
}
