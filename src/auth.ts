// API tokens by the settings: which keys verify them, and whether the primary service is asked too. What asks it is loaded
// where it is set only: its HTTP client takes a tenth of a server's start.
import {apiTokenVerifier, type VerifyApiToken} from './core/api-token.ts';
import {ChatError} from './core/errors.ts';
import {keySource} from './core/keys.ts';
import {rememberTokens} from './core/token-cache.ts';
import {weakSecrets, type Config} from './config.ts';
import {claimRules, configuredKeys} from './keys.ts';
import {isLoopbackHost, isRefusedHost} from './primary/address.ts';
import type {RemoteKeys} from './primary/jwks.ts';

export interface ApiAuth {
  verify: VerifyApiToken;
  close(): Promise<void>;
}

/** Everything between a bearer token and who asks. Throws config_invalid. Whoever opened it closes it. */
export async function openApiAuth(config: Config, warn: (problem: string) => void): Promise<ApiAuth> {
  for (const problem of riskyAuth(config)) warn(problem);
  const remote = await openRemoteKeys(config, warn);
  const keys = keySource(configuredKeys(config), remote);
  const remembered = rememberTokens(apiTokenVerifier({...claimRules(config), keys}));
  // Fetched before the first token comes; when that fails it is told, and tried again when one does.
  remote?.load().catch(() => undefined);
  const url = config.AUTH_VERIFY_URL;
  const primary = url === undefined ? undefined : await openPrimary(remembered, url, config, warn);
  return {
    verify: primary?.verify ?? remembered,
    async close() {
      await primary?.close();
      await remote?.close();
    },
  };
}

/** The keys behind JWT_JWKS_URL, where that is set. */
export async function openRemoteKeys(
  config: Config,
  onProblem: (problem: string) => void,
): Promise<RemoteKeys | undefined> {
  const url = config.JWT_JWKS_URL;
  if (url === undefined) return undefined;
  const {remoteKeys} = await import('./primary/jwks.ts');
  return remoteKeys({...linkLocal(config), url, algorithms: config.JWT_ALGORITHMS, onProblem});
}

async function openPrimary(known: VerifyApiToken, url: string, config: Config, onProblem: (problem: string) => void) {
  const {askPrimary} = await import('./primary/verify.ts');
  return askPrimary(known, {...linkLocal(config), url, onProblem});
}

/** Throws config_invalid where a URL leads to an address that is refused. */
function linkLocal(config: Config): {allowLinkLocal: boolean} {
  for (const name of ['JWT_JWKS_URL', 'AUTH_VERIFY_URL'] as const) {
    const {hostname} = new URL(config[name] ?? 'http://localhost');
    if (isRefusedHost(hostname) && !config.AUTH_ALLOW_LINK_LOCAL) {
      throw new ChatError('config_invalid', `${name} leads to a link-local or metadata address.`, {
        hint: 'Where that is meant, set AUTH_ALLOW_LINK_LOCAL=true.',
      });
    }
  }
  return {allowLinkLocal: config.AUTH_ALLOW_LINK_LOCAL};
}

/** What somebody should know of these settings, a sentence each. */
function riskyAuth(config: Config): string[] {
  const plain = (['JWT_JWKS_URL', 'AUTH_VERIFY_URL'] as const).filter(name => {
    const url = new URL(config[name] ?? 'http://localhost');
    return url.protocol === 'http:' && !isLoopbackHost(url.hostname);
  });
  return [
    ...weakSecrets(config),
    ...plain.map(name => `${name} is plain http: whoever is in between can read tokens or let themselves in.`),
  ];
}
