// The REST API as a client calls it, for the commands that look at a running server from outside.
import {ChatError} from './core/errors.ts';

export interface ApiAnswer {
  status: number;
  body: Record<string, unknown>;
}

const answerLimitMs = 10_000;

/** One request. Rejects with server_unreachable when nobody answers; an error status is an answer. */
export async function callApi(
  base: string,
  method: string,
  path: string,
  options: {token?: string; body?: object} = {},
): Promise<ApiAnswer> {
  try {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        ...(options.token === undefined ? {} : {authorization: `Bearer ${options.token}`}),
        ...(options.body ? {'content-type': 'application/json'} : {}),
      },
      ...(options.body ? {body: JSON.stringify(options.body)} : {}),
      signal: AbortSignal.timeout(answerLimitMs),
    });
    return {status: response.status, body: parseBody(await response.text())};
  } catch (cause) {
    throw new ChatError('server_unreachable', `The API at ${base} cannot be reached: ${reasonOf(cause)}.`, {
      cause,
      hint: 'Is the server running? Start one with: chatctl dev. Or say where it is with --api-url.',
    });
  }
}

function parseBody(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const {cause} = error;
  if (cause instanceof Error && 'code' in cause) return String(cause.code);
  return error.name === 'TimeoutError' ? `no answer within ${answerLimitMs / 1_000} s` : error.message;
}

/** A token of the API's, for who already has an API token. Rejects with what the API says. */
export async function fetchToken(base: string, apiToken: string, path: string): Promise<string> {
  const {status, body} = await callApi(base, 'GET', path, {token: apiToken});
  if (status === 200 && typeof body['token'] === 'string') return body['token'];
  const detail = typeof body['detail'] === 'string' ? ` ${body['detail']}` : '';
  if (status === 401 || status === 403) {
    throw new ChatError(
      status === 401 ? 'invalid_token' : 'permission_denied',
      `The API at ${base} refused: ${status}.${detail}`,
      {
        hint: 'Is JWT_SECRET here the one that the server has?',
      },
    );
  }
  throw new ChatError('server_unreachable', `The API at ${base} answered ${status} to GET ${path}.${detail}`, {
    hint: 'Its log says more. See also: chatctl doctor',
  });
}
