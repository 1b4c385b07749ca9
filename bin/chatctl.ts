#!/usr/bin/env node
import {run} from '../src/cli/run.ts';

// Of the two Node lets FORCE_COLOR win, beside an empty NO_COLOR too, and says so at a terminal. What does not count here,
// by cli/io, it does not see.
const {env} = process;
if (env['NO_COLOR'] !== undefined) delete env[env['NO_COLOR'] ? 'FORCE_COLOR' : 'NO_COLOR'];

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env,
  cwd: process.cwd(),
  started: {flags: process.execArgv, script: process.argv[1] ?? 'chatctl'},
  onSignal(signal, listener) {
    process.once(signal, listener);
    return () => process.off(signal, listener);
  },
});
// Whoever writes to us may go on with it, and is not waited for.
process.stdin.destroy();
