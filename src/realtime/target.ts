import type {IncomingMessage} from 'node:http';

/** Path and query of a request. Anybody may send anything as its target, which need not be a URL. */
export function targetOf(request: IncomingMessage): {path: string; query: URLSearchParams} {
  const [path = '', ...query] = (request.url ?? '').split('?');
  return {path, query: new URLSearchParams(query.join('?'))};
}
