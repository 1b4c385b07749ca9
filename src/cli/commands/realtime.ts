import type {Command} from 'commander';
import {declare} from '../command.ts';
import {report} from '../smoke/reports/write.ts';
import {collect, count, duration, list} from '../values.ts';

export function declareRealtime(program: Command): void {
  declare(program, {
    usage: 'listen <user>',
    summary: 'Follow what is delivered to a user',
    features: ['timeout', 'realtime-url', 'api-url'],
    examples: ['listen bob --for 1s', "listen bob --expect 'type==message_added' --timeout 5s --exec './post.sh'"],
    exits:
      '3 no such room, 6 the token is refused, 8 events came and none is as expected, 9 no event came in time (30s with --expect)',
    load: async () => (await import('../actions/listen.ts')).listen,
  })
    .option('--channel <channel>', 'another channel than personal:<user>')
    .option('--type <types>', 'only events of these types', list)
    .option('--room <room>', 'only events of this room; may be repeated', collect)
    .option('--count <number>', 'end after so many events', count(1_000_000))
    .option('--for <duration>', 'end after this time', duration)
    .option('--expect <expression>', 'wait for an event of which this holds; may be repeated, an event each', collect)
    .option('--exec <command>', 'run this once the subscription stands; it must end well')
    .option('--recover <offset:epoch>', 'go on from this position')
    .option('--raw', 'print publications as they came');
  declare(program, {
    usage: 'smoke [file]',
    summary: 'Walk through the whole chat, or through a scenario file, against a running server or one of its own',
    features: ['timeout', 'realtime-url', 'api-url'],
    examples: ['smoke --list', 'smoke --spawn --report junit=smoke.xml', 'smoke scenario.json --spawn'],
    exits: '3 no such file, 8 a check failed, 9 an event did not come; a file: see chatctl help scenarios',
    needs: 'answer',
    load: async () => (await import('../actions/smoke.ts')).smoke,
  })
    .option('--spawn', 'start a server for it, on a fresh database and free ports, and end it')
    .option('--report <format[=file]>', 'tap, junit or json, to a file or stdout; may be repeated', report)
    .option('--only <steps>', 'these steps, and what they need', list)
    .option('--keep', 'leave out the steps that clean up')
    .option('--list', 'list the steps');
}
