// Help that belongs to no single command: chatctl help <topic>
import {errorCodes, type ErrorCode} from '../core/errors.ts';
import {exitMeanings, exitOf, exits} from './exit.ts';
import {scenarioGuide} from './smoke/guide.ts';

const names = Object.keys(exits) as (keyof typeof exits)[];

/** Each topic; what stands behind it on the command line picks a part, such as one error. */
export const topics: Record<string, (word?: string) => string> = {
  'exit-codes': () => names.map(name => `${String(exits[name]).padStart(4)}  ${exitMeanings[name]}`).join('\n'),
  output: () => `Data goes to stdout, everything else to stderr.

  --output table    aligned columns, the default on a terminal; names and texts are cut to its width
  --output plain    tab separated, no header, the default in a pipe
  --output json     one document; --json is the same
  --output ndjson   one object a line
  --output csv      with a header
  --output id       ids only, one a line
  --fields a,b.c    picks and orders fields in every format; those of a command are in its --help

-o is short for --output.

The JSON objects are those of the REST API. Fields are added, never renamed or removed.`,
  environment: () => `Flags stand above environment variables, those above .env, that above .chatctl/config.json.

The server's settings are in the README. The command line also knows
  CHATCTL_CONFIG        project file
  CHATCTL_API_URL       where the API of the running server is
  CHATCTL_REALTIME_URL  where clients connect
  CHATCTL_OUTPUT        output format
  CHATCTL_TIMEOUT       how long to wait, for commands that take --timeout
  CHATCTL_ACTOR         who acts, for the audit log; else the system's user
  CHATCTL_NO_INPUT, CI  never ask
  GRANDCHAT_DATABASE_URL  what import grandchat reads
  NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE`,
  scripting: () => `  id=$(chatctl room create general --member alice --output id)
  chatctl member add "$id" bob --json
  echo "deploy done" | chatctl message post "$id" -
  chatctl listen bob --count 1 --timeout 10s

A room is named by id, by exact name, or as id:7, name:7, key:order-1. Nothing waits for an answer without a terminal.
Errors with --json are one line on stderr: {"error":{"code","message","hint","exit_code","docs"}}.`,
  scenarios: () => scenarioGuide,
  danger: () => `mild       it is done, and the way back is printed
moderate   yes or no is asked; --yes answers
severe     the name must be typed; --confirm <name> answers, --yes does not
Any write can be rehearsed with --dry-run: it shows what it would be done to, rows, events with their receivers and
size, and the same as a curl call, and changes nothing. doctor and verify only look without --fix and --repair; with
them they are rehearsed too: what would be mended, published and cleared. Severe questions show what they are about to be
done to as well. With NODE_ENV=production every write begins with a line that says so.`,
  expressions: () => `listen --expect and smoke hold an event against conditions joined by &&:

  type==message_added
  body.room.id==7 && body.content~"deploy"
  latency_ms<200ms

A condition is path, operator, value. Operators: == != < <= > >= and ~ for "contains". A value is a word, a number, a
quoted text, true, false, null, or a duration such as 200ms or 5s, which counts in milliseconds. Paths begin at the
event (type, body) or at the line that listen prints (offset, room_id, version, message_id, latency_ms).`,
  errors: code => {
    const lines = (Object.keys(errorCodes) as ErrorCode[])
      .filter(each => code === undefined || each === code)
      .map(each => `${each.padEnd(24)} exit ${exitOf(each)}  ${errorCodes[each].replaceAll('_', ' ')}`);
    return lines.join('\n') || `There is no error ${code ?? ''}. All of them: chatctl help errors`;
  },
  cheat: () => cheat.map(([line, what]) => `${line.padEnd(56)} ${what}`).join('\n'),
};

/** The lines one needs on most days. */
const cheat: readonly (readonly [string, string])[] = [
  ['chatctl dev', 'the whole chat on this machine'],
  ['chatctl init --db postgres --centrifugo docker', 'files for a project'],
  ['chatctl status', 'what is in the database, and what waits'],
  ['chatctl doctor --fix', 'what is wrong, and mend it'],
  ['chatctl migrate up', 'bring the schema up to date'],
  ['chatctl room create general --member alice', 'a room with a member'],
  ['chatctl room list --sort members --limit 10', 'the largest rooms'],
  ['chatctl room show general --members', 'one room'],
  ['chatctl room delete general --dry-run', 'what a write would do'],
  ['chatctl member add general bob carol', 'more members'],
  ['chatctl member list general --output csv > m.csv', 'members as a table'],
  ['chatctl message post general "deploy done"', 'post as the system'],
  ['echo hello | chatctl message post general - --as bob', 'post as a member, from a pipe'],
  ['chatctl message tail general', 'follow what is stored'],
  ['chatctl message search invoice --room general', 'look for words'],
  ['chatctl token jwt alice', 'an API token'],
  ['chatctl token verify < token.txt', 'what is wrong with a token'],
  ['chatctl listen bob', 'follow what is delivered'],
  ['chatctl trace 42 --user bob', 'where a message is'],
  ['chatctl outbox status', 'how many events wait'],
];
