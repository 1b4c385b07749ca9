// What a real Centrifugo demands of the tokens that clients bring, as its configuration says it.
import type {TokenProblem} from './explain.ts';

export interface CentrifugoRules {
  /** What its settings are called in messages, such as the file's name. */
  name: string;
  tokenSecret: string | undefined;
  subscriptionSecret: string | undefined;
  issuer: string | undefined;
  audience: string | undefined;
  namespaces: readonly string[];
}

/** What a Centrifugo demands beyond the signature. */
export function brokenRules(
  {iss, aud, channel}: Record<string, unknown>,
  rules: CentrifugoRules | undefined,
  mint: string,
): TokenProblem[] {
  if (!rules) return [];
  const {name, issuer, audience, namespaces} = rules;
  const problems: TokenProblem[] = [];
  // The server mints neither claim, so that the rule could never be met.
  const further = `Take the rule out of ${name}. Then: ${mint}`;
  if (issuer !== undefined && iss !== issuer) {
    problems.push({code: 'wrong_issuer', message: `Its iss is not ${issuer}, which ${name} demands.`, fix: further});
  }
  if (audience !== undefined && ![aud].flat().includes(audience)) {
    problems.push({
      code: 'wrong_audience',
      message: `Its aud is not ${audience}, which ${name} demands.`,
      fix: further,
    });
  }
  const [, namespace] = typeof channel === 'string' ? (/^\$?([^:]+):/.exec(channel) ?? []) : [];
  if (namespace !== undefined && !namespaces.includes(namespace)) {
    const message = `Its channel ${String(channel)} is in the namespace ${namespace}, which ${name} does not have.`;
    problems.push({code: 'unknown_namespace', message, fix: 'Add it: chatctl centrifugo config prints how.'});
  }
  return problems;
}
