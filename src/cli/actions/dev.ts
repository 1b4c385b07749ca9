import type {Config} from '../../config.ts';
import type {UserId} from '../../core/ids.ts';
import type {Preset} from '../../core/seed.ts';
import {parseDatabaseUrl} from '../../db/connect.ts';
import {createLog} from '../../log.ts';
import type {Cli} from '../context.ts';
import {told} from '../errors.ts';
import {Exit, exits} from '../exit.ts';
import type {Signal} from '../io.ts';
import {isJson} from '../output.ts';
import {watchSettings} from '../settings-watch.ts';
import {toUser} from './parse.ts';
import {ensureSecrets} from './project.ts';
import {nextSignal, portFlags} from './serve.ts';

interface DevOptions {
  port?: string;
  users: string[];
  seed?: Preset;
  watch: boolean;
}

/** The whole chat in one process, with everything made that is missing; anew when its settings change. */
export async function dev(cli: Cli, options: DevOptions): Promise<void> {
  const users = options.users.map(toUser);
  const flags = portFlags(options);
  ensureSecrets(await cli.config(flags));
  const first = await cli.config(flags);
  let config = first;
  const signal = nextSignal(cli);
  for (;;) {
    // Before what takes longer than anybody should look at nothing, in a script too.
    cli.note(`Starting on ${labelOf(config)} …`);
    const watch = options.watch ? watchSettings(cli, config, () => cli.config(flags)) : undefined;
    try {
      const changed = watch?.changed;
      const ended = await serveUntil(cli, config, users, options, signal, changed).catch((error: unknown) => {
        if (config === first || !changed) throw error;
        cli.note(`It cannot run with these settings, and waits until they change: ${told(error).message}`);
        return Promise.race([signal, changed]);
      });
      if (typeof ended === 'string') return tellEnd(cli, config, ended);
      config = ended;
    } finally {
      watch?.close();
    }
  }
}

const labelOf = (config: Config) => parseDatabaseUrl(config.DATABASE_URL).label;

/** Serves until a signal, or until there are other settings. */
async function serveUntil(
  cli: Cli,
  config: Config,
  users: readonly UserId[],
  {seed, port}: DevOptions,
  signal: Promise<Signal>,
  changed: Promise<Config> | undefined,
): Promise<Signal | Config> {
  const [{startServer}, {beReady, seedOnce}] = await Promise.all([import('../../serve.ts'), import('./demo.ts')]);
  const log = createLog(config.origins.LOG_LEVEL === 'default' ? 'warn' : config.LOG_LEVEL, 'stderr', true);
  // Who names a port means this one; a port of the settings may be one that another project has as well.
  const nextFreePort = {api: port === undefined, realtime: true};
  const server = await startServer(config, {log, migrate: true, nextFreePort, allowLocalOrigins: true});
  try {
    const seeded = seed === undefined || (await seedOnce(cli, server, seed, signal));
    const forget = seeded ? await beReady(cli, config, server, users) : undefined;
    const ended = await Promise.race([signal, ...(changed ? [changed] : [])]);
    forget?.();
    return ended;
  } finally {
    await server.close();
  }
}

/** Ctrl-C is how one ends it, so that it is no failure. */
function tellEnd(cli: Cli, config: Config, signal: Signal): void {
  const code = signal === 'SIGTERM' ? exits.terminated : exits.ok;
  if (isJson(cli.format)) cli.line({type: 'end', reason: signal, exit_code: code});
  else cli.note(`\nStopped. The data stays in ${labelOf(config)}; the next start goes on with it.`);
  if (code !== exits.ok) throw new Exit(code);
}
