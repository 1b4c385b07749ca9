#!/usr/bin/env node
import {run} from '../src/cli/run.ts';

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
  started: {flags: process.execArgv, script: process.argv[1] ?? 'chatctl'},
  onSignal(signal, listener) {
    process.once(signal, listener);
    return () => process.off(signal, listener);
  },
});
