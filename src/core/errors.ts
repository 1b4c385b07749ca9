// Every error a caller may meet, in one list: its code, which is stable, and its kind, which the doors turn into
// an HTTP status (http/errors) or an exit code (cli/run).
import type {Actor} from './chat.ts';

export const errorCodes = {
  invalid_input: 'invalid',
  required: 'invalid',
  wrong_type: 'invalid',
  blank: 'invalid',
  too_long: 'invalid',
  too_short: 'invalid',
  out_of_range: 'invalid',
  bad_characters: 'invalid',
  bad_format: 'invalid',
  unknown_field: 'invalid',
  unknown_value: 'invalid',
  too_many: 'invalid',
  body_required: 'invalid',
  object_required: 'invalid',
  invalid_json: 'invalid',
  invalid_encoding: 'invalid',
  too_deep: 'invalid',
  invalid_cursor: 'invalid',
  malformed_request: 'invalid',
  unauthenticated: 'unauthenticated',
  invalid_token: 'unauthenticated',
  token_expired: 'unauthenticated',
  token_refused: 'unauthenticated',
  user_deactivated: 'unauthenticated',
  permission_denied: 'denied',
  room_archived: 'denied',
  room_not_found: 'not_found',
  message_not_found: 'not_found',
  member_not_found: 'not_found',
  user_not_found: 'not_found',
  event_not_found: 'not_found',
  route_not_found: 'not_found',
  already_member: 'conflict',
  not_a_member: 'conflict',
  key_taken: 'conflict',
  client_id_reused: 'conflict',
  room_ambiguous: 'conflict',
  user_ambiguous: 'conflict',
  file_exists: 'conflict',
  file_not_found: 'not_found',
  user_erased: 'conflict',
  import_unfinished: 'conflict',
  import_moved: 'conflict',
  input_changed: 'conflict',
  ids_taken: 'conflict',
  export_damaged: 'conflict',
  not_empty: 'conflict',
  migrations_pending: 'conflict',
  schema_newer: 'conflict',
  migration_locked: 'conflict',
  server_running: 'conflict',
  port_taken: 'conflict',
  confirmation_required: 'invalid',
  input_required: 'invalid',
  config_invalid: 'invalid',
  database_unavailable: 'unavailable',
  database_missing: 'unavailable',
  database_busy: 'unavailable',
  outcome_unknown: 'unavailable',
  server_unreachable: 'unavailable',
  broker_unreachable: 'unavailable',
  broker_refused: 'conflict',
  auth_unavailable: 'unavailable',
  overloaded: 'unavailable',
  shutting_down: 'unavailable',
  too_large: 'too_large',
  headers_too_large: 'headers_too_large',
  request_timeout: 'timeout',
  unsupported_media_type: 'unsupported',
  method_not_allowed: 'method',
  rate_limited: 'limited',
  internal: 'internal',
} as const;

export type ErrorCode = keyof typeof errorCodes;
export type ErrorKind = (typeof errorCodes)[ErrorCode];

export interface FieldError {
  /** Path in the input, `content` or `members[3]`. */
  field: string;
  code: ErrorCode;
  message: string;
}

/** A refusal that a person can act on: the message names the thing, the hint says the next step. */
export class ChatError extends Error {
  override name = 'ChatError';
  readonly code: ErrorCode;
  readonly fields: readonly FieldError[];
  readonly hint: string | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    more: {fields?: readonly FieldError[]; hint?: string; cause?: unknown} = {},
  ) {
    super(message, more.cause === undefined ? undefined : {cause: more.cause});
    this.code = code;
    this.fields = more.fields ?? [];
    this.hint = more.hint;
  }

  get kind(): ErrorKind {
    return errorCodes[this.code];
  }
}

export function userDeactivated(id: string): ChatError {
  return new ChatError('user_deactivated', `The user ${id} is deactivated.`);
}

/** The same words whether the room is absent or merely not the caller's to see; an operator sees all that there are. */
export function roomNotFound(room: string | number, actor?: Actor): ChatError {
  return new ChatError('room_not_found', `There is no room ${room}${thatIsSeen(actor)}.`);
}

export function messageNotFound(message: string | number, actor?: Actor): ChatError {
  return new ChatError('message_not_found', `There is no message ${message}${thatIsSeen(actor)}.`, {
    hint: 'Look for it: chatctl message search <text>',
  });
}

const thatIsSeen = (actor: Actor | undefined) => (actor?.kind === 'operator' ? '' : ' that you can see');
