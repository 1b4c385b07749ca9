import {readdirSync, readFileSync} from 'node:fs';
import test from 'ava';
import {migrations} from '../src/db/migrations.ts';

const lockText = readFileSync('package-lock.json', 'utf8');
const lock = JSON.parse(lockText) as {packages: Record<string, {version?: string; resolved?: string}>};
const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  engines: {node: string};
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
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
