// Compiles to dist/, bundles the real-time client into it, and copies the API documentation page's files.
import {execFileSync} from 'node:child_process';
import {chmodSync, copyFileSync, mkdirSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const require = createRequire(import.meta.url);
process.chdir(root);

rmSync('dist', {recursive: true, force: true});
execFileSync(
  process.execPath,
  [join(dirname(require.resolve('typescript/package.json')), 'bin/tsc'), '-p', 'tsconfig.build.json'],
  {
    stdio: 'inherit',
  },
);

// `centrifuge` brings protobufjs, which JSON never uses; the bundle leaves it out and the package needs neither.
await build({
  entryPoints: ['src/realtime-client.ts'],
  outfile: 'dist/src/realtime-client.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node20',
  logLevel: 'warning',
  allowOverwrite: true,
});

const swagger = dirname(require.resolve('swagger-ui-dist/package.json'));
mkdirSync('dist/public', {recursive: true});
for (const file of ['swagger-ui-bundle.js', 'swagger-ui.css', 'LICENSE']) {
  copyFileSync(join(swagger, file), join('dist/public', file === 'LICENSE' ? 'swagger-ui.LICENSE' : file));
}
chmodSync('dist/bin/chatctl.js', 0o755);
