import type {Preset} from '../../core/seed.ts';
import {parseDatabaseUrl} from '../../db/connect.ts';
import {createLog} from '../../log.ts';
import type {Cli} from '../context.ts';
import {Exit, exits} from '../exit.ts';
import {toUser} from './parse.ts';
import {ensureSecrets} from './project.ts';
import {nextSignal, portFlags} from './serve.ts';

interface DevOptions {
  port?: string;
  users: string[];
  seed?: Preset;
}

/** The whole chat in one process, with everything made that is missing. */
export async function dev(cli: Cli, options: DevOptions): Promise<void> {
  const users = options.users.map(toUser);
  const flags = portFlags(options);
  ensureSecrets(await cli.config(flags));
  const config = await cli.config(flags);
  const {label} = parseDatabaseUrl(config.DATABASE_URL);
  // Before what takes longer than anybody should look at nothing, in a script too.
  cli.note(`Starting on ${label} …`);
  const [{startServer}, {beReady, isStream, seedOnce}] = await Promise.all([
    import('../../serve.ts'),
    import('./demo.ts'),
  ]);
  const log = createLog(config.origins.LOG_LEVEL === 'default' ? 'warn' : config.LOG_LEVEL, 'stderr', true);
  const signal = nextSignal(cli);
  const server = await startServer(config, {log, migrate: true, nextFreePort: true, allowLocalOrigins: true});
  try {
    const seeded = options.seed === undefined || (await seedOnce(cli, server, options.seed, signal));
    const forget = seeded ? await beReady(cli, config, server, users) : undefined;
    const ended = await signal;
    forget?.();
    await server.close();
    // Ctrl-C is how one ends it, so that it is no failure.
    const code = ended === 'SIGTERM' ? exits.terminated : exits.ok;
    if (isStream(cli)) cli.line({type: 'end', reason: ended, exit_code: code});
    else cli.note(`\nStopped. The data stays in ${label}; the next start goes on with it.`);
    if (code !== exits.ok) throw new Exit(code);
  } catch (error) {
    await server.close();
    throw error;
  }
}
