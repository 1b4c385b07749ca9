// `chatctl` alone at a terminal: the common jobs. Each is a command, which asks for the rest.
import {existsSync} from 'node:fs';
import type {Io} from './io.ts';
import {prompter} from './prompts.ts';

/** Where there is no database yet all others can only fail. */
const firstJobs = {
  dev: 'Start the whole chat for development, with a database of its own',
  init: 'Write the settings of a project: secrets, database, real time',
  'migrate up': 'Make the database',
  doctor: 'Check everything, and learn how to mend it',
  '--help': 'See all commands',
};

const jobs = {
  'room list': 'List rooms',
  'room create': 'Create a room',
  'member add': 'Add members to a room',
  'member remove': 'Remove members from a room',
  'message post': 'Post a message',
  'message list': 'Read the messages of a room',
  'token jwt': 'Make an API token',
  status: 'See what is in the database and what waits',
  doctor: 'Check everything, and learn how to mend it',
  dev: 'Start the whole chat for development',
  '--help': 'See all commands',
};

/** The words of the chosen command. */
export async function chooseJob(io: Io): Promise<string[]> {
  const {choose} = prompter(io, {canAsk: true, yes: false, confirm: undefined, target: () => Promise.resolve('')});
  const choices = Object.entries((await hasDatabase(io)) ? jobs : firstJobs).map(([value, name]) => ({
    value,
    name: value === '--help' ? name : `${name}  (chatctl ${value})`,
  }));
  return (await choose(undefined, '', 'What would you like to do?', choices)).split(' ');
}

/** By a look at the file, without a connection; of a server nobody knows, nor where the settings are wrong. */
async function hasDatabase({env, cwd}: Io): Promise<boolean> {
  const [{loadConfig}, {parseDatabaseUrl}] = await Promise.all([import('../config.ts'), import('../db/connect.ts')]);
  try {
    const target = parseDatabaseUrl(loadConfig({flags: {}, env, cwd, file: env['CHATCTL_CONFIG']}).DATABASE_URL);
    return target.dialect !== 'sqlite' || existsSync(target.path);
  } catch {
    return true;
  }
}
