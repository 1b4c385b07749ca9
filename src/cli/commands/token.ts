import {Option, type Command} from 'commander';
import {declare} from '../command.ts';
import {claims, collect, json, overrides, ttl} from '../values.ts';

const act = () => import('../actions/token.ts');

export function declareToken(program: Command): void {
  const token = program.command('token').description('Tokens: mint and verify');
  declare(token, {
    usage: 'jwt <user>',
    summary: 'An API token of a user',
    examples: ['token jwt alice --ttl 1h'],
    needs: 'nothing',
    load: async () => (await act()).mintJwt,
  })
    .option('--ttl <duration>', 'lifetime, or none', ttl, 3_600)
    .option('--claim <name=value>', 'a further claim; may be repeated', claims)
    .option('--key <kid>', 'sign with this key of JWT_KEYS or JWT_PRIVATE_KEY');
  declare(token, {
    usage: 'service [name]',
    summary: 'An API token of the primary service',
    examples: ['token service'],
    needs: 'nothing',
    load: async () => (await act()).mintService,
  })
    .option('--ttl <duration>', 'lifetime, or none', ttl, 3_600)
    .option('--claim <name=value>', 'a further claim; may be repeated', claims)
    .option('--key <kid>', 'sign with this key of JWT_KEYS or JWT_PRIVATE_KEY');
  declare(token, {
    usage: 'connection <user>',
    summary: 'A Centrifugo connection token',
    examples: ['token connection alice --ttl 2m'],
    needs: 'nothing',
    load: async () => (await act()).mintConnection,
  })
    .option('--ttl <duration>', 'lifetime, or none', ttl, 120)
    .option('--info <json>', 'shown to others in presence', json)
    .option('--meta <json>', 'kept by Centrifugo', json)
    .option('--channel <channel>', 'subscribe to it with the connection; may be repeated', collect);
  declare(token, {
    usage: 'subscription <user> [channel]',
    summary: 'A Centrifugo subscription token, for the user’s own channel unless another is named',
    examples: ['token subscription alice'],
    needs: 'nothing',
    load: async () => (await act()).mintSubscription,
  })
    .option('--ttl <duration>', 'lifetime, or none', ttl, 300)
    .option('--info <json>', 'shown to others in presence', json)
    .option(
      '--override <option=true|false>',
      'an option of the channel for this subscription; may be repeated',
      overrides,
    );
  declare(token, {
    usage: 'verify [token]',
    summary: 'Decode a token, say what is wrong with it and how to make a right one',
    examples: ['token verify --file token.txt --for connection'],
    features: ['realtime-url', 'api-url'],
    exits: '3 no such file, 6 the token is not valid',
    needs: 'answer',
    load: async () => (await import('../actions/token-verify.ts')).verifyToken,
  })
    .option('--file <path>', 'read the token from a file, - for standard input')
    .addOption(new Option('--for <kind>', 'which kind it should be').choices(['api', 'connection', 'subscription']))
    .option('--user <user>', 'whose it should be')
    .option('--channel <channel>', 'which channel it should be for')
    .option('--against <file>', 'a Centrifugo’s JSON configuration that should take it, instead of the settings here')
    .option('--live', 'try it on the running server as well');
}
