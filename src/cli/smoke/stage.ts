import {execFile} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {callApi} from '../../api.ts';
import {apiMinter} from '../../keys.ts';
import {mintApiToken} from '../../core/tokens.ts';
import {toUser} from '../actions/parse.ts';
import type {Io} from '../io.ts';
import {createPerson, type Person} from './person.ts';
import type {CommandResult, Stage} from './step.ts';
import type {Target} from './target.ts';

export interface OpenStage extends Stage {
  close(): void;
}

/** How long a `chatctl` of a scenario may run, and how much it may say. */
const commandLimitMs = 30_000;
const maxOutputBytes = 16 * 1_024 * 1_024;
const tokenTtlSeconds = 600;

export function createStage(target: Target, io: Io): OpenStage {
  const {apiUrl, realtimeUrl, config} = target;
  const mark = randomBytes(4).toString('hex');
  const mintToken = apiMinter(config);
  const now = () => Math.floor(Date.now() / 1_000);
  const mint = async (sub: string, claims: object = {}) =>
    (await mintToken({sub, ...claims}, tokenTtlSeconds, now())).token;
  const persons = new Map<string, Person>();
  const ended = new AbortController();

  return {
    apiUrl,
    realtimeUrl,
    mark,
    forgedToken: mintApiToken(randomBytes(32).toString('hex'), {sub: 'mallory'}, tokenTtlSeconds, now()).token,
    person(name) {
      const id = toUser(name);
      const person = persons.get(id) ?? createPerson(apiUrl, id, () => Promise.resolve(mint(id)));
      persons.set(id, person);
      return person;
    },
    async service(method, path, body) {
      const token = await mint('chatctl', {scope: config.JWT_SERVICE_SCOPE});
      return callApi(apiUrl, method, path, {token, ...(body ? {body} : {})});
    },
    nobody: (method, path, body) => callApi(apiUrl, method, path, body ? {body} : {}),
    chatctl: (args, stdin) => runCommand(target, io, args, stdin, ended.signal),
    close() {
      ended.abort();
      for (const person of persons.values()) person.close();
    },
  };
}

/** In a process of its own, as a script starts it. */
function runCommand(
  {env, cwd}: Target,
  {started}: Io,
  args: readonly string[],
  stdin: string | undefined,
  signal: AbortSignal,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      process.execPath,
      [...started.flags, started.script, ...args],
      {cwd, env: {...env, CHATCTL_NO_INPUT: '1'}, timeout: commandLimitMs, maxBuffer: maxOutputBytes, signal},
      (error, stdout, stderr) => {
        if (error === null) return resolve({exit: 0, stdout, stderr});
        if (typeof error.code === 'number') return resolve({exit: error.code, stdout, stderr});
        reject(new Error(`chatctl ${args.join(' ')} did not end by itself: ${error.signal ?? error.message}`));
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(stdin ?? '');
  });
}
