// Centrifugo's codes: errors in replies, and disconnects as WebSocket close codes with their reasons.

export interface ProtocolError {
  code: number;
  message: string;
  temporary?: true;
}

export const errors = {
  internal: {code: 100, message: 'internal server error', temporary: true},
  unknownChannel: {code: 102, message: 'unknown channel'},
  permissionDenied: {code: 103, message: 'permission denied'},
  alreadySubscribed: {code: 105, message: 'already subscribed'},
  limitExceeded: {code: 106, message: 'limit exceeded'},
  badRequest: {code: 107, message: 'bad request'},
  notAvailable: {code: 108, message: 'not available'},
  tokenExpired: {code: 109, message: 'token expired'},
  expired: {code: 110, message: 'expired'},
  unrecoverable: {code: 112, message: 'unrecoverable position'},
} as const satisfies Record<string, ProtocolError>;

export interface Disconnect {
  code: number;
  reason: string;
}

export const disconnects = {
  shutdown: {code: 3001, reason: 'shutdown'},
  internal: {code: 3004, reason: 'internal server error'},
  expired: {code: 3005, reason: 'connection expired'},
  subscriptionExpired: {code: 3006, reason: 'subscription expired'},
  slow: {code: 3008, reason: 'slow'},
  insufficientState: {code: 3010, reason: 'insufficient state'},
  noPong: {code: 3012, reason: 'no pong'},
  invalidToken: {code: 3500, reason: 'invalid token'},
  badRequest: {code: 3501, reason: 'bad request'},
  stale: {code: 3502, reason: 'stale'},
  forced: {code: 3503, reason: 'force disconnect'},
  connectionLimit: {code: 3504, reason: 'connection limit'},
  channelLimit: {code: 3505, reason: 'channel limit'},
  inappropriateProtocol: {code: 3506, reason: 'embedded endpoint speaks JSON only'},
  notAvailable: {code: 3508, reason: 'not available'},
} as const satisfies Record<string, Disconnect>;

/** An error for the reply to one command; the connection goes on. */
export class CommandError extends Error {
  readonly error: ProtocolError;
  constructor(error: ProtocolError) {
    super(error.message);
    this.error = error;
  }
}

/** Ends the connection. */
export class DisconnectError extends Error {
  readonly disconnect: Disconnect;
  constructor(disconnect: Disconnect) {
    super(disconnect.reason);
    this.disconnect = disconnect;
  }
}

export function badRequest(): DisconnectError {
  return new DisconnectError(disconnects.badRequest);
}
