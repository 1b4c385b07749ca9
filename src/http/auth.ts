import type {ApiClaims} from '../core/token-claims.ts';
import {ChatError} from '../core/errors.ts';
import type {Context, HttpOptions} from './context.ts';

/** What the bearer token says, which asks no database. Throws unauthenticated errors. */
export async function authenticate(ctx: Context, {chat, verifyApiToken}: HttpOptions): Promise<ApiClaims> {
  return verifyApiToken(bearerToken(ctx), Math.floor(Date.parse(chat.now()) / 1_000));
}

function bearerToken(ctx: Context): string {
  // Node keeps the first of several headers of this name and hides the others.
  const headers = ctx.req.headersDistinct['authorization'] ?? [];
  if (headers.length === 0) {
    throw new ChatError(
      'unauthenticated',
      'The request has no Authorization header; send `Authorization: Bearer <JWT>`.',
    );
  }
  const token = headers.length === 1 ? /^bearer ([^\s,]+)$/i.exec(headers[0] ?? '')?.[1] : undefined;
  if (token === undefined) {
    throw new ChatError('invalid_token', 'The Authorization header must be, once, `Bearer <JWT>`.');
  }
  return token;
}
