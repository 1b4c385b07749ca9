// The rules of src/ARCHITECTURE.md that can be read off the sources.
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, normalize} from 'node:path';
import test from 'ava';

function list(folder: string): string[] {
  return readdirSync(folder, {withFileTypes: true}).flatMap(entry => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return list(path);
    return entry.name.endsWith('.ts') ? [path] : [];
  });
}

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

const files = [...list('src'), ...list('bin'), ...list('migrations'), ...list('deploy')];
const texts = new Map(files.map(file => [file, readFileSync(file, 'utf8')]));

function importsOf(file: string): Import[] {
  const text = texts.get(file) ?? '';
  const found = [...text.matchAll(/(?:^|\n)(import|export)( type)?\b[^;]*?from '([^']+)'|\bimport\('([^']+)'\)/g)];
  return found.map(([, , type, named, dynamic]) => {
    const target = named ?? dynamic ?? '';
    const to = target.startsWith('.') ? normalize(join(dirname(file), target)) : target;
    return {from: file, to, typeOnly: type !== undefined};
  });
}

const all = files.flatMap(importsOf);

/** The layer of a file: the folder in src, or the file itself for those that lie in src. */
function layerOf(path: string): string {
  const [top = '', second = ''] = path.split('/');
  if (top !== 'src') return top;
  return second.endsWith('.ts') ? second : second;
}

const allowed: Record<string, readonly string[]> = {
  bin: ['cli'],
  cli: [
    'core',
    'db',
    'open.ts',
    'serve.ts',
    'auth.ts',
    'keys.ts',
    'config.ts',
    'config-file.ts',
    'settings.ts',
    'log.ts',
    'version.ts',
    'realtime-client.ts',
    'listen.ts',
    'api.ts',
    'follow.ts',
    'inbox.ts',
  ],
  http: ['core', 'db', 'log.ts', 'version.ts'],
  delivery: ['core', 'db', 'log.ts'],
  realtime: ['core'],
  primary: ['core'],
  core: ['db'],
  db: ['core', 'migrations'],
  migrations: [],
  deploy: ['core'],
  'settings.ts': ['core'],
  'config-file.ts': ['core', 'settings.ts'],
  'config.ts': ['core', 'settings.ts', 'config-file.ts'],
  'open.ts': ['core', 'db', 'delivery', 'config.ts'],
  'auth.ts': ['core', 'primary', 'config.ts', 'keys.ts'],
  'keys.ts': ['core', 'config.ts', 'settings.ts'],
  'serve.ts': [
    'auth.ts',
    'core',
    'db',
    'delivery',
    'http',
    'realtime',
    'config.ts',
    'open.ts',
    'log.ts',
    'listen.ts',
    'metrics.ts',
    'version.ts',
  ],
  'metrics.ts': ['db', 'delivery', 'open.ts'],
  'listen.ts': ['core'],
  'log.ts': ['core'],
  'version.ts': [],
  'realtime-client.ts': [],
  'api.ts': ['core'],
  'follow.ts': ['core', 'realtime-client.ts'],
  'inbox.ts': [],
  'testing.ts': ['core', 'config.ts', 'serve.ts', 'log.ts', 'api.ts', 'follow.ts', 'inbox.ts'],
};

for (const layer of Object.keys(allowed)) {
  test(`${layer} imports only from ${allowed[layer]?.join(', ') || 'nobody'}`, t => {
    const wrong = all
      .filter(each => layerOf(each.from) === layer && /^(src|bin|migrations)\//.test(each.to))
      .filter(each => layerOf(each.to) !== layer && !allowed[layer]?.includes(layerOf(each.to)));
    t.deepEqual(wrong, []);
  });
}

test('every layer has its rule', t => {
  t.deepEqual(
    [...new Set(files.map(layerOf))].filter(layer => !(layer in allowed)),
    [],
  );
});

test('the database layer takes from core the types of ids and the errors only', t => {
  const wrong = all.filter(
    each => layerOf(each.from) === 'db' && layerOf(each.to) === 'core' && !/core\/(ids|errors)\.ts$/.test(each.to),
  );
  t.deepEqual(wrong, []);
});

test('the real-time endpoint knows of the broker only', t => {
  const wrong = all.filter(
    each => layerOf(each.from) === 'realtime' && layerOf(each.to) === 'core' && !each.to.endsWith('core/broker.ts'),
  );
  t.deepEqual(wrong, []);
});

test('the REST door takes only types from the database layer', t => {
  t.deepEqual(
    all.filter(
      each => layerOf(each.from) === 'http' && layerOf(each.to) === 'db' && !each.typeOnly && !isTypesOnly(each),
    ),
    [],
  );
});

/** `import {type A} from …` names types one by one. */
function isTypesOnly({from, to}: Import): boolean {
  const name = to.split('/').at(-1) ?? '';
  const [, names = ''] =
    new RegExp(String.raw`import \{([^}]*)\} from '[^']*${name}'`).exec(texts.get(from) ?? '') ?? [];
  return names.split(',').every(each => each.trim() === '' || each.trim().startsWith('type '));
}

test('Koa, commander and inquirer stay in their rims', t => {
  const rims: Record<string, RegExp> = {http: /^(koa|@koa\/.*|koa-.*)$/, cli: /^(commander|inquirer)$/};
  const wrong = all.filter(({from, to}) =>
    Object.entries(rims).some(([rim, packages]) => packages.test(to) && layerOf(from) !== rim),
  );
  t.deepEqual(wrong, []);
});

test('only bin and config see the environment, and nobody ends the process', t => {
  const reads = files.filter(file => /process\.env/.test(texts.get(file) ?? '') && layerOf(file) !== 'bin');
  t.deepEqual(reads, []);
  t.deepEqual(
    files.filter(file => /process\.exit\(/.test(texts.get(file) ?? '')),
    [],
  );
});

test('exports are named, and nothing is exported on', t => {
  t.deepEqual(
    files.filter(file => /^export default/m.test(texts.get(file) ?? '')),
    [],
  );
  const forwarded = files.filter(file => /^export \{[^}]*\} from|^export \* from/m.test(texts.get(file) ?? ''));
  t.deepEqual(forwarded, ['src/realtime-client.ts']);
});

test('no file imports itself by a detour', t => {
  const edges = new Map<string, string[]>();
  for (const {from, to, typeOnly} of all)
    if (!typeOnly && texts.has(to)) edges.set(from, [...(edges.get(from) ?? []), to]);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) cycles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
    if (path.includes(file) || done.has(file)) return;
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  t.deepEqual(cycles, []);
});
