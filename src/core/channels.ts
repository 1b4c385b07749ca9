// The names of channels.
import type {UserId} from './ids.ts';

/** Where everything that a user may see is published: one channel for each user, and none for a room. */
export function personalChannel(user: UserId): string {
  return `personal:${user}`;
}
