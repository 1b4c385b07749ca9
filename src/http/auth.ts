import type {Actor} from '../core/chat.ts';
import {ChatError} from '../core/errors.ts';
import {provisionUser} from '../core/users.ts';
import type {Context, HttpOptions} from './context.ts';

/** Who asks, by the bearer token; a user who is new here gets a row. Throws unauthenticated errors. */
export async function authenticate(ctx: Context, {chat, verifyApiToken}: HttpOptions): Promise<Actor> {
  const claims = await verifyApiToken(bearerToken(ctx), Math.floor(Date.parse(chat.now()) / 1_000));
  if (claims.kind === 'service') return {kind: 'service', name: claims.name};
  const user = await provisionUser(chat, claims.id, claims.username);
  return {kind: 'user', id: user.id};
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
