import {basename, relative} from 'node:path';
import type {Io} from './io.ts';
import {commandLine} from './words.ts';

/** How the person started this, so that printed lines can be pasted and work. */
export function commandName({env, cwd, started}: Io): string {
  const {npm_lifecycle_event: event, npm_package_name: name} = env;
  // The variables are inherited: another package's script, or our tests, may stand above us.
  if (name === 'chatctl' && ['start', 'dev', 'chatctl'].includes(event ?? '')) return 'npm run --silent chatctl --';
  if (event === 'npx' || env['npm_command'] === 'exec') return 'npx chatctl';
  if (basename(started.script) === 'chatctl') return 'chatctl';
  const near = relative(cwd, started.script);
  return commandLine(['node', ...started.flags, near.startsWith('..') ? started.script : near]);
}
