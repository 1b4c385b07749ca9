// What the settings say of API tokens: the keys that verify them, what they must claim, and the key that signs those minted
// here. Apart from what asks other services, so that a command that mints a token does not load it.
import {createPublicKey, createSecretKey} from 'node:crypto';
import type {ApiTokenSettings} from './core/api-token.ts';
import {ChatError} from './core/errors.ts';
import {keysOfJwkSet, keysOfPem, secretKey, type Key} from './core/keys.ts';
import {parsePrivateKey, signToken, type SigningKey} from './core/token-signature.ts';
import type {Minted} from './core/tokens.ts';
import {hasPublicKeys, isProduction, jwtSecret, type Config} from './config.ts';
import type {Secret} from './settings.ts';

/** The keys that the settings hold themselves. Throws config_invalid when there are none and none are to be fetched. */
export function configuredKeys(config: Config): Key[] {
  if (!hasPublicKeys(config)) jwtSecret(config);
  const {JWT_SECRET, SECRET_KEY, JWT_SECRET_PREVIOUS, JWT_PUBLIC_KEY, JWT_KEYS, JWT_ALGORITHMS} = config;
  const of = (value: Secret | undefined, read: (text: string) => Key[]) => (value ? read(value.reveal()) : []);
  const keys = [
    ...of(JWT_SECRET ?? SECRET_KEY, text => [secretKey(JWT_SECRET ? 'JWT_SECRET' : 'SECRET_KEY', text)]),
    ...of(JWT_SECRET_PREVIOUS, text => [secretKey('JWT_SECRET_PREVIOUS', text, config.JWT_SECRET_PREVIOUS_UNTIL)]),
    ...of(JWT_PUBLIC_KEY, text => keysOfPem('JWT_PUBLIC_KEY', text)),
    ...of(JWT_KEYS, text => keysOfJwkSet('JWT_KEYS', text)),
  ].filter(key => JWT_ALGORITHMS.includes(key.algorithm));
  if (keys.length > 0 || config.JWT_JWKS_URL !== undefined) return keys;
  throw new ChatError('config_invalid', `There is no key for any of JWT_ALGORITHMS (${JWT_ALGORITHMS.join(', ')}).`, {
    hint: 'Set JWT_SECRET for HS256, or one of JWT_PUBLIC_KEY, JWT_KEYS and JWT_JWKS_URL.',
  });
}

export function claimRules(config: Config): Omit<ApiTokenSettings, 'keys'> {
  return {
    requireExp: config.JWT_REQUIRE_EXP ?? isProduction(config),
    serviceScope: config.JWT_SERVICE_SCOPE,
    issuer: config.JWT_ISSUER,
    audience: config.JWT_AUDIENCE,
    type: config.JWT_TYPE,
    maxAgeSeconds: maxAge(config),
  };
}

function maxAge({JWT_MAX_AGE, ...config}: Config): number | undefined {
  if (JWT_MAX_AGE !== undefined) return JWT_MAX_AGE ?? undefined;
  return config.NODE_ENV === 'production' ? productionMaxAgeSeconds : undefined;
}

const productionMaxAgeSeconds = 86_400;

export type MintApiToken = (
  claims: {sub: string} & Record<string, unknown>,
  ttl: number | null,
  nowSeconds: number,
) => Promise<Minted>;

/** Mints tokens that the API with these settings accepts. Throws config_invalid where nothing here can sign one. */
export function apiMinter(config: Config, kid?: string): MintApiToken {
  const key = kid === undefined ? signingKey(config) : signingKeyNamed(config, kid);
  const fixed = {
    ...(config.JWT_ISSUER === undefined ? {} : {iss: config.JWT_ISSUER}),
    ...(config.JWT_AUDIENCE === undefined ? {} : {aud: config.JWT_AUDIENCE}),
  };
  return async function mintApiToken(claims, ttl, now) {
    const payload = {...fixed, ...claims, iat: now, ...(ttl === null ? {} : {exp: now + ttl})};
    return {token: await signToken(key, payload, config.JWT_TYPE), claims: payload};
  };
}

function signingKey(config: Config): SigningKey {
  const {JWT_PRIVATE_KEY, JWT_SECRET, SECRET_KEY, JWT_ALGORITHMS} = config;
  if (JWT_PRIVATE_KEY) return privateKey(config, JWT_PRIVATE_KEY);
  const secret = JWT_SECRET ?? SECRET_KEY ?? (hasPublicKeys(config) ? undefined : jwtSecret(config));
  if (secret === undefined || !JWT_ALGORITHMS.includes('HS256')) {
    throw new ChatError('config_invalid', 'Only public keys are set here, and with those no API token can be made.', {
      hint: 'Let the primary service make one, or set JWT_PRIVATE_KEY_FILE to its private key.',
    });
  }
  return {
    algorithm: 'HS256',
    key: createSecretKey(typeof secret === 'string' ? secret : secret.reveal(), 'utf8'),
    kid: undefined,
  };
}

/** The private key or the secret of a JWK set that tokens name by this id. */
function signingKeyNamed(config: Config, kid: string): SigningKey {
  const own = config.JWT_PRIVATE_KEY && privateKey(config, config.JWT_PRIVATE_KEY);
  const keys = [...(own ? [own] : []), ...configuredKeys(config).filter(({key}) => key.type === 'secret')];
  const named = keys.find(key => key.kid === kid);
  if (named) return {algorithm: named.algorithm, key: named.key, kid};
  const known = keys.flatMap(key => key.kid ?? []);
  throw new ChatError('config_invalid', `No key named ${kid} can sign here.`, {
    hint:
      known.length > 0
        ? `Those that can are ${known.join(', ')}.`
        : 'JWT_PRIVATE_KEY as a JWK with a kid can, and secrets in JWT_KEYS. Without --key the usual one is taken.',
  });
}

function privateKey(config: Config, value: Secret): SigningKey {
  const parsed = parsePrivateKey(value.reveal());
  if (!parsed || !config.JWT_ALGORITHMS.includes(parsed.algorithm)) {
    throw new ChatError(
      'config_invalid',
      `JWT_PRIVATE_KEY is not a private key for one of ${config.JWT_ALGORITHMS.join(', ')}, in PEM form or as a JWK.`,
      {hint: 'Make one with: openssl genpkey -algorithm ed25519'},
    );
  }
  const known = configuredKeys(config).find(
    ({algorithm, key}) => algorithm === parsed.algorithm && key.equals(createPublicKey(parsed.key)),
  );
  return {...parsed, kid: parsed.kid ?? known?.kid};
}
