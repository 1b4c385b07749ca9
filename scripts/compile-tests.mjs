// Compiles the tests with the sources and the packages into few files, and has several test files share a process. What the
// tests cost is starts, of hundreds of processes: to find and read a thousand modules, and to run code that is still cold.
import {cpSync, readFileSync, readdirSync, rmSync, statSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {join, resolve} from 'node:path';
import {relative} from 'node:path/posix';
import {pathToFileURL} from 'node:url';
import {build} from 'esbuild';

// Few, since each is a start; more where more run side by side.
const groups = Math.max(8, 3 * availableParallelism());

/** Those that look at what is the whole process's (memory, environment, timers), or that hold it up. */
const alone = [
  'cli/start',
  'core/tokens-fuzz',
  'db/sqlite',
  'http/counter',
  'realtime/endpoint',
  'realtime/fuzz',
  'realtime/hostile',
  'realtime/memory',
  'testing',
].map(name => `test/${name}.test.ts`);

/** Small rounds of `npm run faults` and `npm run bench`: run when they are named, as `npm run check` does. */
const rehearsals = ['test/bench.test.ts', 'test/faults.test.ts', 'test/rate-limits.test.ts'];

/** What is run or imported by name; all else lies in shared chunks. */
const programs = () => [
  'bin/chatctl.ts',
  'scripts/bench/run.ts',
  'scripts/faults/run.ts',
  'scripts/faults/flood.ts',
  'scripts/faults/slow-sockets.ts',
  'scripts/fuzz/run.ts',
  ...within('scripts/bench/programs').filter(path => path.endsWith('.ts')),
];

function within(dir) {
  return readdirSync(dir, {recursive: true}).map(path => join(dir, path).replaceAll('\\', '/'));
}

const testFiles = () => within('test').filter(path => path.endsWith('.test.ts'));

/** Groups of about the same size, the largest files first and each to the group that has least. */
function grouped(files) {
  const made = Array.from({length: groups}, () => ({size: 0, files: []}));
  const sized = files.map(path => ({path, size: statSync(path).size}));
  for (const {path, size} of sized.toSorted((a, b) => b.size - a.size || a.path.localeCompare(b.path))) {
    const least = made.reduce((a, b) => (b.size < a.size ? b : a));
    least.size += size;
    least.files.push(path);
  }
  return made.map(group => group.files).filter(group => group.length > 0);
}

// Those with a binary, those that find their own files beside them, and drivers of Knex's that nobody installed.
const external = ['ava', 'esbuild', 'sqlite3', 'swagger-ui-dist', 'typescript'];
const absent = /^(?:better-sqlite3|mariadb\/.*|mysql2?|oracledb|pg-native|pg-query-stream|tedious)$/;

/** A module in a chunk still finds what lies beside its source; stacks name our sources, and packages need no map. */
const inPlace = out => ({
  name: 'in place',
  setup({onLoad, onResolve}) {
    onResolve({filter: absent}, ({path}) => ({path, external: true}));
    onLoad({filter: /\.ts$/, namespace: 'file'}, ({path}) => {
      const compiled = resolve(out, relative(process.cwd(), path).replace(/ts$/, 'js'));
      const url = JSON.stringify(pathToFileURL(compiled).href);
      return {loader: 'ts', contents: readFileSync(path, 'utf8').replaceAll('import.meta.url', url)};
    });
    onLoad({filter: /node_modules\/.*\.[cm]?js$/}, ({path}) => ({
      loader: 'js',
      contents: `${readFileSync(path, 'utf8')}\n//# sourceMappingURL=data:application/json,{"version":3,"sources":[""],"mappings":"A"}`,
    }));
  },
});

/** `group:3` is a module with the tests of its files, whose titles begin with the file's name. */
const inGroups = members => ({
  name: 'in groups',
  setup({onLoad, onResolve}) {
    onResolve({filter: /^group:/}, ({path}) => ({path: path.slice('group:'.length), namespace: 'group'}));
    onLoad({filter: /./, namespace: 'group'}, ({path}) => ({
      resolveDir: process.cwd(),
      contents: members[path].map(file => `import './${file}';`).join('\n'),
    }));
    onResolve({filter: /^ava$/, namespace: 'file'}, ({importer}) =>
      importer.endsWith('.test.ts') ? {path: importer, namespace: 'ava'} : undefined,
    );
    onLoad({filter: /./, namespace: 'ava'}, ({path}) => {
      const name = relative(resolve('test'), path)
        .replace(/\.test\.ts$/, '')
        .replaceAll('/', ' › ');
      return {
        resolveDir: process.cwd(),
        contents: `import test from 'ava'; import {testsOf} from './scripts/shared-process.mjs'; export default testsOf(${JSON.stringify(name)}, test);`,
      };
    });
  },
});

/** To `out`, each test file by itself (`test/http/rooms.test.js`), or all but the rehearsals in groups (`group-1.test.js`). */
export async function compileTests(out, {inGroups: wanted}) {
  rmSync(out, {recursive: true, force: true});
  const members = wanted ? grouped(testFiles().filter(path => ![...alone, ...rehearsals].includes(path))) : [];
  const entries = [...programs(), ...(wanted ? alone : testFiles())].map(path => [path.replace(/\.ts$/, ''), path]);
  await build({
    entryPoints: Object.fromEntries([...entries, ...members.map((_, at) => [`group-${at}.test`, `group:${at}`])]),
    outdir: out,
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    external,
    // CommonJS packages ask for Node's own modules with require.
    banner: {
      js: `import {createRequire as createRequireOfChunk} from 'node:module';const require=createRequireOfChunk(import.meta.url);`,
    },
    sourcemap: true,
    sourcesContent: false,
    logLevel: 'error',
    plugins: [inPlace(out), ...(wanted ? [inGroups(members)] : [])],
  });
  cpSync('test/helpers/tls', join(out, 'test/helpers/tls'), {recursive: true});
}
