// `chatctl` alone at a terminal: the common jobs. Each is a command, which asks for the rest.
import type {Io} from './io.ts';
import {prompter} from './prompts.ts';

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
  const choices = Object.entries(jobs).map(([value, name]) => ({
    value,
    name: value === '--help' ? name : `${name}  (chatctl ${value})`,
  }));
  return (await choose(undefined, '', 'What would you like to do?', choices)).split(' ');
}
