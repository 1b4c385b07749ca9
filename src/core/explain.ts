// Says why a token is refused: every cause by name, and the command that mints a right one. The doors only refuse;
// this looks closer, with all secrets at hand, for the person who stands before a 401.
import {createHmac, timingSafeEqual} from 'node:crypto';
import {brokenRules, type CentrifugoRules} from './centrifugo-rules.ts';
import {quotedWord} from './command-line.ts';
import {UserIdInput} from './input.ts';
import {sampleSecrets} from './secrets.ts';
import {personalChannel} from './channels.ts';
import type {UserId} from './ids.ts';

export type TokenKind = 'api' | 'connection' | 'subscription';

export interface TokenProblem {
  code: string;
  message: string;
  /** What to do, a command where there is one. */
  fix: string;
}

export interface Explanation {
  valid: boolean;
  kind: TokenKind;
  header: Record<string, unknown> | null;
  claims: Record<string, unknown> | null;
  problems: TokenProblem[];
}

export interface ExplainSettings {
  /** What the token is to be used for; guessed when absent. */
  kind?: TokenKind | undefined;
  apiSecrets: readonly string[];
  /** Further keys of API tokens: their algorithms, and whether one of them signed this token. */
  apiKeys: {algorithms: readonly string[]; signed: boolean};
  realtimeSecret: string | undefined;
  requireExp: boolean;
  serviceScope: string;
  issuer?: string | undefined;
  audience?: string | undefined;
  maxAgeSeconds?: number | undefined;
  /** Whose token it should be, and for which channel. */
  user?: UserId | undefined;
  channel?: string | undefined;
  /** A real Centrifugo that is to take it, where its settings are known. */
  centrifugo?: CentrifugoRules | undefined;
  nowSeconds: number;
}

const leewaySeconds = 5;
/** As seconds this is the year 5138; as milliseconds it is 1973. */
const surelyMilliseconds = 1e11;
const hashes: Record<string, string> = {HS256: 'sha256', HS384: 'sha384', HS512: 'sha512'};

type Fields = Record<string, unknown>;

/** Decodes a token and lists everything that is wrong with it. */
export function explainToken(token: string, settings: ExplainSettings): Explanation {
  const parts = token.trim().split('.');
  const header = decode(parts[0]);
  const claims = decode(parts[1]);
  if (parts.length !== 3 || !header || !claims) {
    const problem = {
      code: 'not_a_jwt',
      message: 'It is not a JWT: three base64url parts with JSON in the first two.',
      fix: `Copy the whole token, without \`Bearer \` and without line breaks, or make one: ${mintCommand(settings.kind ?? 'api', {}, settings)}`,
    };
    return {
      valid: false,
      kind: settings.kind ?? 'api',
      header: header ?? null,
      claims: claims ?? null,
      problems: [problem],
    };
  }
  const kind = settings.kind ?? guess(token.trim(), header, claims, settings);
  const looked = {token: token.trim(), header, claims, kind, settings, mint: mintCommand(kind, claims, settings)};
  const problems = [signature, times, claimsOfKind, subject].flatMap(check => check(looked));
  return {valid: problems.length === 0, kind, header, claims, problems};
}

interface Looked {
  token: string;
  header: Fields;
  claims: Fields;
  kind: TokenKind;
  settings: ExplainSettings;
  mint: string;
}

function decode(part: string | undefined): Fields | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part ?? '', 'base64url').toString());
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
  } catch {
    return undefined;
  }
}

function guess(token: string, header: Fields, claims: Fields, settings: ExplainSettings): TokenKind {
  if (claims['channel'] !== undefined) return 'subscription';
  if (settings.centrifugo) return 'connection';
  const {realtimeSecret, apiSecrets} = settings;
  const signs = (secret: string) => isSignedWith(token, header, secret);
  return realtimeSecret !== undefined && signs(realtimeSecret) && !apiSecrets.some(signs) ? 'connection' : 'api';
}

function isSignedWith(token: string, header: Fields, secret: string): boolean {
  const hash = hashes[String(header['alg'])];
  if (!hash) return false;
  const end = token.lastIndexOf('.');
  const wanted = createHmac(hash, secret).update(token.slice(0, end)).digest();
  const found = Buffer.from(token.slice(end + 1), 'base64url');
  return found.length === wanted.length && timingSafeEqual(found, wanted);
}

function mintCommand(kind: TokenKind, claims: Fields, settings: ExplainSettings): string {
  const user = settings.user ?? usableSub(claims['sub']);
  if (kind === 'api' && hasScope(claims['scope'], settings.serviceScope)) return 'chatctl token service';
  return `chatctl token ${kind === 'api' ? 'jwt' : kind} ${user === undefined ? '<user>' : quotedWord(user)}`;
}

function hasScope(scope: unknown, wanted: string): boolean {
  return (typeof scope === 'string' ? scope.split(' ') : Array.isArray(scope) ? scope : []).includes(wanted);
}

function usableSub(sub: unknown): UserId | undefined {
  return UserIdInput.safeParse(Number.isSafeInteger(sub) ? String(sub) : sub).data;
}

const secretNames: Record<TokenKind, string> = {
  api: 'JWT_SECRET',
  connection: 'CENTRIFUGO_TOKEN_SECRET',
  subscription: 'CENTRIFUGO_TOKEN_SECRET',
};

function signature({token, header, kind, settings, mint}: Looked): TokenProblem[] {
  const {alg} = header;
  const {apiKeys} = settings;
  const allowed = kind === 'api' ? [...new Set(['HS256', ...apiKeys.algorithms])] : Object.keys(hashes);
  if (typeof alg !== 'string' || !allowed.includes(alg)) {
    const message = `It is made with the algorithm ${JSON.stringify(alg ?? null)}, and ${allowed.join(', ')} is wanted.`;
    return [{code: 'wrong_algorithm', message, fix: mint}];
  }
  if (kind === 'api' && apiKeys.signed) return [];
  if (kind === 'api' && alg !== 'HS256') {
    const message = `It is not signed with any of the ${alg} keys that are known here, or names another one (kid).`;
    return [{code: 'wrong_key', message, fix: mint}];
  }
  const signs = (secret: string) => isSignedWith(token, header, secret);
  const right = kind === 'api' ? settings.apiSecrets : realtimeSecrets(kind, settings);
  const name = kind !== 'api' && settings.centrifugo ? settings.centrifugo.name : secretNames[kind];
  if (right.length === 0) {
    return [
      {code: 'no_secret', message: `${name} is not set here, so that nothing can be checked.`, fix: `Set ${name}.`},
    ];
  }
  const sample = sampleSecrets.find(signs);
  if (sample !== undefined) {
    const message = `It is signed with a secret that is printed in documentation${right.includes(sample) ? ', and so are yours' : ''}.`;
    return [
      {
        code: 'sample_secret',
        message,
        fix: `Set ${secretNames[kind]} to the output of: openssl rand -base64 32. Then: ${mint}`,
      },
    ];
  }
  if (right.some(signs)) return [];
  const others = kind === 'api' ? [settings.realtimeSecret].filter(each => each !== undefined) : settings.apiSecrets;
  if (others.some(signs)) {
    const other = kind === 'api' ? secretNames.connection : secretNames.api;
    const message = `It is signed with ${other}; ${article(kind)} token is signed with ${name}.`;
    return [{code: 'secret_of_another_kind', message, fix: mint}];
  }
  if (kind !== 'api' && settings.centrifugo) return [foreignSecret(name, right, signs, settings, mint)];
  return [{code: 'wrong_secret', message: `It is not signed with the ${name} of this project.`, fix: mint}];
}

function realtimeSecrets(kind: TokenKind, {centrifugo, realtimeSecret}: ExplainSettings): string[] {
  const own = kind === 'subscription' ? centrifugo?.subscriptionSecret : undefined;
  return [own ?? centrifugo?.tokenSecret ?? realtimeSecret].filter(each => each !== undefined);
}

/** Tokens made here are of no use to a Centrifugo that has another secret, so that making a new one is not enough. */
function foreignSecret(
  name: string,
  right: readonly string[],
  signs: (secret: string) => boolean,
  {realtimeSecret}: ExplainSettings,
  mint: string,
): TokenProblem {
  if (realtimeSecret === undefined || right.includes(realtimeSecret)) {
    return {code: 'wrong_secret', message: `It is not signed with the secret of ${name}.`, fix: mint};
  }
  const ours = signs(realtimeSecret) ? 'It is signed with CENTRIFUGO_TOKEN_SECRET here' : 'Nor does it fit ours';
  return {
    code: 'secrets_differ',
    message: `It is not signed with the secret of ${name}. ${ours}, which is another one.`,
    fix: `Set CENTRIFUGO_TOKEN_SECRET and the secret of ${name} to the same. Then: ${mint}`,
  };
}

function article(kind: TokenKind): string {
  return kind === 'api' ? 'an API' : `a ${kind}`;
}

function times({claims, kind, settings, mint}: Looked): TokenProblem[] {
  const {nowSeconds: now} = settings;
  const {exp, nbf, iat} = claims;
  const problems = expiry(exp, kind, settings).map(([code, message]) => ({code, message, fix: mint}));
  if (typeof nbf === 'number' && nbf > now) {
    problems.push({code: 'not_yet_valid', message: `It is valid only in ${span(nbf - now)} (nbf).`, fix: mint});
  }
  if (typeof iat === 'number' && iat > now + leewaySeconds) {
    const message = `It was issued ${span(iat - now)} in the future (iat): the clocks of signer and server differ.`;
    problems.push({code: 'clock_skew', message, fix: `Set the clocks, for example with NTP. Then: ${mint}`});
  }
  const {maxAgeSeconds = Infinity} = settings;
  if (kind === 'api' && typeof exp === 'number' && exp - (typeof iat === 'number' ? iat : now) > maxAgeSeconds) {
    const message = `It lives longer than the ${span(maxAgeSeconds)} that JWT_MAX_AGE allows.`;
    problems.push({code: 'lives_too_long', message, fix: `${mint} --ttl ${maxAgeSeconds}s`});
  }
  return problems;
}

function expiry(exp: unknown, kind: TokenKind, {requireExp, nowSeconds}: ExplainSettings): [string, string][] {
  if (exp === undefined) {
    if (kind !== 'api' || !requireExp) return [];
    return [['exp_missing', 'It has no exp, which JWT_REQUIRE_EXP demands.']];
  }
  if (typeof exp !== 'number' || !Number.isSafeInteger(exp)) {
    return [['exp_not_seconds', 'Its exp is not a whole number of seconds since 1970.']];
  }
  if (exp > surelyMilliseconds) return [['exp_in_milliseconds', 'Its exp is in milliseconds, and JWT counts seconds.']];
  return exp <= nowSeconds ? [['token_expired', `It expired ${span(nowSeconds - exp)} ago.`]] : [];
}

function span(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.round(seconds / 3_600)} h` : `${Math.round(seconds / 86_400)} days`;
}

function claimsOfKind({claims, kind, settings, mint}: Looked): TokenProblem[] {
  const {channel, iss, aud} = claims;
  const {issuer, audience} = settings;
  const problems = kind === 'api' ? [] : brokenRules(claims, settings.centrifugo, mint);
  if (kind === 'subscription') return [...channelOf(channel, settings, mint), ...problems];
  if (channel !== undefined) {
    const message = `It carries channel ${JSON.stringify(channel)}: that makes it a subscription token, which is refused as ${article(kind)} token.`;
    problems.push({code: 'channel_claim', message, fix: mint});
  }
  if (kind === 'api' && issuer !== undefined && iss !== issuer) {
    problems.push({code: 'wrong_issuer', message: `Its iss is not ${issuer}, which JWT_ISSUER demands.`, fix: mint});
  }
  if (kind === 'api' && audience !== undefined && ![aud].flat().includes(audience)) {
    problems.push({
      code: 'wrong_audience',
      message: `Its aud is not ${audience}, which JWT_AUDIENCE demands.`,
      fix: mint,
    });
  }
  return problems;
}

function channelOf(channel: unknown, settings: ExplainSettings, mint: string): TokenProblem[] {
  if (typeof channel !== 'string' || channel === '') {
    const message = 'It has no channel, which a subscription token needs; it may be a connection token.';
    return [{code: 'channel_missing', message, fix: mint}];
  }
  if (settings.channel === undefined || settings.channel === channel) return [];
  return [{code: 'other_channel', message: `It is for ${channel} and not for ${settings.channel}.`, fix: mint}];
}

function subject({claims, kind, settings, mint}: Looked): TokenProblem[] {
  if (kind === 'api' && hasScope(claims['scope'], settings.serviceScope)) return [];
  const {sub, channel} = claims;
  const user = kind === 'api' || typeof sub === 'string' ? usableSub(sub) : undefined;
  if (user === undefined) {
    const message = `Its sub ${sub === undefined ? 'is missing' : `is ${JSON.stringify(sub)}`}; a user id of 1 to 200 of A-Z a-z 0-9 _ . @ | : + = ~ - is needed.`;
    return [{code: 'bad_sub', message, fix: mint}];
  }
  if (settings.user !== undefined && settings.user !== user) {
    return [{code: 'other_user', message: `It belongs to ${user} and not to ${settings.user}.`, fix: mint}];
  }
  if (
    kind === 'subscription' &&
    typeof channel === 'string' &&
    channel.startsWith('personal:') &&
    channel !== personalChannel(user)
  ) {
    return [{code: 'not_own_channel', message: `Its sub ${user} cannot own ${channel}.`, fix: mint}];
  }
  return [];
}
