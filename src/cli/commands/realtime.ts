import type {Command} from 'commander';
import {declare} from '../command.ts';
import {collect, count, duration, list} from '../values.ts';

export function declareRealtime(program: Command): void {
  declare(program, {
    usage: 'listen <user>',
    summary: 'Follow what is delivered to a user',
    features: ['timeout', 'realtime-url', 'api-url'],
    examples: ['listen bob --for 1s', "listen bob --expect 'type==message_added' --timeout 5s --exec './post.sh'"],
    exits: '6 the token is refused, 8 an event is not as expected, 9 no event came in time',
    load: async () => (await import('../actions/listen.ts')).listen,
  })
    .option('--channel <channel>', 'another channel than personal:<user>')
    .option('--type <types>', 'only events of these types', list)
    .option('--room <id>', 'only events of this room', count(Number.MAX_SAFE_INTEGER))
    .option('--count <number>', 'end after so many events', count(1_000_000))
    .option('--for <duration>', 'end after this time', duration)
    .option('--expect <expression>', 'the next event must be so; may be repeated, one event each', collect)
    .option('--exec <command>', 'run this once the subscription stands')
    .option('--recover <offset:epoch>', 'go on from this position')
    .option('--raw', 'print publications as they came');
  declare(program, {
    usage: 'smoke',
    summary: 'Walk through the whole chat against a running server',
    features: ['timeout', 'realtime-url', 'api-url'],
    examples: ['smoke --list'],
    exits: '8 a step failed, 9 an event did not come',
    load: async () => (await import('../actions/smoke.ts')).smoke,
  })
    .option('--only <steps>', 'these steps, and what they need', list)
    .option('--keep', 'leave the room and the users behind')
    .option('--list', 'list the steps');
}
