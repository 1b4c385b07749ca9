// What a Centrifugo's configuration file says of tokens and channels, for `token verify --against`. Versions 5 and 6
// name these settings differently; where the file leaves a secret out, it comes by Centrifugo's environment.
import {readFileSync} from 'node:fs';
import {basename} from 'node:path';
import type {CentrifugoRules} from '../core/centrifugo-rules.ts';
import {ChatError} from '../core/errors.ts';
import {valueAt} from './expression.ts';
import {unreadable} from './unreadable.ts';

type Env = Record<string, string | undefined>;

/** `given` is the path as it was given. Throws file_not_found, and invalid_input when it cannot be read or is not JSON. */
export function readCentrifugoFile(path: string, given: string, env: Env): CentrifugoRules {
  const file = readJson(path, given);
  const at = (name: string) => valueAt(file, name.split('.'));
  /** The environment stands above the file, as in Centrifugo itself. */
  const text = (...names: string[]) => {
    const found = names.map(name => env[`CENTRIFUGO_${name.toUpperCase().replaceAll('.', '_')}`] || at(name));
    return found.find(each => typeof each === 'string' && each !== '') as string | undefined;
  };
  const ownSubscriptions =
    at('client.subscription_token.enabled') === true || at('separate_subscription_token_config') === true;
  return {
    name: basename(path),
    tokenSecret: text('client.token.hmac_secret_key', 'token_hmac_secret_key'),
    subscriptionSecret: ownSubscriptions
      ? text('client.subscription_token.hmac_secret_key', 'subscription_token_hmac_secret_key')
      : undefined,
    issuer: text('client.token.issuer', 'token_issuer'),
    audience: text('client.token.audience', 'token_audience'),
    namespaces: [at('channel.namespaces'), at('namespaces')].flatMap(namesOf),
  };
}

function namesOf(namespaces: unknown): string[] {
  if (!Array.isArray(namespaces)) return [];
  return namespaces.flatMap(each => {
    const name = valueAt(each, ['name']);
    return typeof name === 'string' ? [name] : [];
  });
}

function readJson(path: string, given: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as unknown;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw unreadable(path, cause, given);
    throw new ChatError('invalid_input', `The Centrifugo configuration ${given} is not JSON.`, {
      cause,
      hint: 'Only JSON is understood: chatctl centrifugo config --out centrifugo.json writes one.',
    });
  }
}
