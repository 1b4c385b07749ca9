// Help that belongs to no single command: chatctl help <topic>
import {exitMeanings, exits} from './exit.ts';

const names = Object.keys(exits) as (keyof typeof exits)[];

export const topics: Record<string, () => string> = {
  'exit-codes': () => names.map(name => `${String(exits[name]).padStart(4)}  ${exitMeanings[name]}`).join('\n'),
  output: () => `Data goes to stdout, everything else to stderr.

  -o table    aligned columns, the default on a terminal
  -o plain    tab separated, no header, the default in a pipe
  -o json     one document; --json is the same
  -o ndjson   one object a line
  -o csv      with a header
  -o id       ids only, one a line
  --fields a,b.c   picks and orders fields in every format

The JSON objects are those of the REST API. Fields are added, never renamed or removed.`,
  environment: () => `Flags stand above environment variables, those above .env, that above .chatctl/config.json.

The server's settings are in the README. The command line also knows
  CHATCTL_CONFIG        project file
  CHATCTL_API_URL       where the API of the running server is
  CHATCTL_REALTIME_URL  where clients connect
  CHATCTL_OUTPUT        output format
  CHATCTL_ACTOR         who acts, for the audit log; else the system's user
  CHATCTL_NO_INPUT, CI  never ask
  NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE`,
  scripting: () => `  id=$(chatctl room create general --member alice -o id)
  chatctl member add "$id" bob --json
  echo "deploy done" | chatctl message post "$id" -
  chatctl listen bob --count 1 --timeout 10s

A room is named by id, by exact name, or as id:7, name:7, key:order-1. Nothing waits for an answer without a terminal.
Errors with --json are one line on stderr: {"error":{"code","message","hint","exit_code","docs"}}.`,
  danger: () => `mild       it is done, and the way back is printed
moderate   yes or no is asked; --yes answers
severe     the name must be typed; --confirm <name> answers, --yes does not
Any write can be rehearsed with --dry-run: it shows rows and events, and changes nothing.`,
};
