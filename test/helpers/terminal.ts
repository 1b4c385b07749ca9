import {spawn, spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {fileURLToPath} from 'node:url';
import type {TestCli} from './cli.ts';

/** Whether a real pseudo-terminal can be had here; Python's library makes one. */
export const hasTerminal = spawnSync('python3', ['-c', 'import pty']).status === 0;

// Standard input and error are the terminal; standard output is a pipe, so that data and questions can be told apart.
const driver = `
import json, os, pty, select, subprocess, sys, time
steps, command = json.loads(sys.argv[1]), sys.argv[2:]
master, slave = pty.openpty()
child = subprocess.Popen(command, stdin=slave, stderr=slave, stdout=subprocess.PIPE, start_new_session=True,
  preexec_fn=lambda: __import__('fcntl').ioctl(0, __import__('termios').TIOCSCTTY, 0))
os.close(slave)
shown, seen, data, deadline = '', 0, b'', time.time() + 25
streams = [master, child.stdout.fileno()]
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

/** Runs at a real terminal; when a text shows, its answer is typed. */
export async function atTerminal(cli: TestCli, args: string[], answers: [string, string][]): Promise<TerminalEnd> {
  const program = fileURLToPath(new URL('../../bin/chatctl.js', import.meta.url));
  const command = [process.execPath, program, ...args];
  const child = spawn('python3', ['-c', driver, JSON.stringify(answers), ...command], {
    cwd: cli.cwd,
    env: {PATH: process.env['PATH'], TERM: 'xterm', ...cli.env},
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(child, 'close');
  return JSON.parse(output) as TerminalEnd;
}
