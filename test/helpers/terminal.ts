import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import type {TestCli} from './cli.ts';

/** Whether a real pseudo-terminal can be had here; Python's library makes one. */
export const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;
if (!hasTerminal) process.stderr.write('\n!!! SKIPPED, because there is no python3 here: the tests at a terminal.\n\n');

const driver = `
import json, os, pty, select, subprocess, sys, time
steps, all, command = json.loads(sys.argv[1]), sys.argv[2] == 'all', sys.argv[3:]
master, slave = pty.openpty()
child = subprocess.Popen(command, stdin=slave, stderr=slave, stdout=slave if all else subprocess.PIPE,
  start_new_session=True, preexec_fn=lambda: __import__('fcntl').ioctl(0, __import__('termios').TIOCSCTTY, 0))
os.close(slave)
shown, seen, data, deadline = '', 0, b'', time.time() + 100
streams = [master] if all else [master, child.stdout.fileno()]
while streams and time.time() < deadline:
  ready, _, _ = select.select(streams, [], [], 0.2)
  for fd in ready:
    try: chunk = os.read(fd, 65536)
    except OSError: chunk = b''
    if not chunk:
      streams.remove(fd)
      continue
    if fd != master: data += chunk
    else: shown += chunk.decode('utf-8', 'replace')
  if steps and steps[0][0] in shown[seen:]:
    seen = len(shown)
    os.write(master, steps.pop(0)[1].encode())
child.kill() if child.poll() is None and time.time() >= deadline else None
print(json.dumps({'code': child.wait(), 'shown': shown, 'stdout': data.decode()}))
`;

export interface TerminalEnd {
  code: number;
  /** What the terminal showed: questions, notes and errors. */
  shown: string;
  stdout: string;
}

/** Runs at a real terminal; when a text shows, its answer is typed. Its data goes to a pipe, apart from the questions. */
export function atTerminal(cli: TestCli, args: string[], answers: [string, string][]): Promise<TerminalEnd> {
  const program = fileURLToPath(new URL('../../bin/chatctl.js', import.meta.url));
  const env = {PATH: process.env['PATH'], TERM: 'xterm', ...cli.env};
  return drive([process.execPath, program, ...args], {cwd: cli.cwd, env, answers, output: 'errors'});
}

/** A person at a shell: keys are typed once the text before them shows. All that the shell writes is shown. */
export function inTerminal(
  cwd: string,
  env: NodeJS.ProcessEnv,
  command: string[],
  keys: [string, string][],
): Promise<TerminalEnd> {
  return drive(command, {cwd, env, answers: keys, output: 'all'});
}

interface Drive {
  cwd: string;
  env: NodeJS.ProcessEnv;
  answers: [string, string][];
  /** What the terminal shows besides what is typed. */
  output: 'errors' | 'all';
}

async function drive(command: string[], {cwd, env, answers, output}: Drive): Promise<TerminalEnd> {
  const child = spawn('python3', ['-c', driver, JSON.stringify(answers), output, ...command], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let end = '';
  child.stdout.on('data', (chunk: Buffer) => (end += chunk.toString()));
  await once(child, 'close');
  return JSON.parse(end) as TerminalEnd;
}
