// Random and mutated requests over the whole OpenAPI document of a running server. Every answer must be one that the
// document has for its operation, with the body that it promises there, and none may be a 5xx.
import {Agent, request as httpRequest} from 'node:http';
import {randomOf} from '../faults/harness.ts';
import {operationsAt, operationsOf, type Operation} from './document.ts';
import {randomChoices, randomRequest, type FuzzRequest, type Known} from './requests.ts';

export interface FuzzOptions {
  url: string;
  seed: number;
  runs: number;
  tokens: {service: string; admin: string; member: string; stranger: string};
}

export interface FuzzResult {
  /** Answers by status. */
  statuses: Record<number, number>;
  /** What must not be: a request and what was wrong with its answer. */
  faults: string[];
  /** Operations that succeeded at least once, of how many there are. */
  succeeded: number;
  operations: number;
}

const together = 16;
/** After so many requests what the others may have deleted is made anew. */
const renewEvery = 320;
const maxFaults = 20;

export async function fuzz({url, seed, runs, tokens}: FuzzOptions): Promise<FuzzResult> {
  const agent = new Agent({keepAlive: true, maxSockets: together});
  const random = randomChoices(randomOf(seed));
  const document = await (await fetch(`${url}/api/openapi.json`)).json();
  const operations = operationsOf(document as Record<string, unknown>);
  const result: FuzzResult = {statuses: {}, faults: [], succeeded: 0, operations: operations.length};
  const succeeded = new Set<Operation>();
  let known: Known = {};
  const all = [...Object.values(tokens), tokens.service, tokens.admin];

  for (let done = 0; done < runs && result.faults.length < maxFaults; done += together) {
    if (done % renewEvery === 0) known = await renew(url, tokens.service, done);
    const requests = Array.from({length: together}, () => randomRequest(random, operations, all, known));
    const answers = await Promise.all(requests.map(each => send(agent, url, each)));
    for (const [i, answer] of answers.entries()) {
      const request = requests[i];
      if (!request) continue;
      result.statuses[answer.status] = (result.statuses[answer.status] ?? 0) + 1;
      const {fault, operation} = judge(operations, request, answer);
      if (fault !== undefined)
        result.faults.push(`${fault}: ${described(request)} -> ${answer.status} ${answer.text.slice(0, 300)}`);
      if (operation && answer.status < 300) succeeded.add(operation);
    }
  }
  agent.destroy();
  return {...result, succeeded: succeeded.size};
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** Status 0 when the connection broke. */
function send(agent: Agent, url: string, {method, path, headers, body}: FuzzRequest): Promise<Answer> {
  const length = body ? {'content-length': body.length} : {};
  return new Promise(resolve => {
    const fail = (error: Error) => resolve({status: 0, headers: {}, text: error.message});
    const request = httpRequest(`${url}${path}`, {method, agent, headers: {...headers, ...length}}, response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        resolve({status: response.statusCode ?? 0, headers: response.headers, text});
      });
    });
    request.on('error', fail);
    request.end(body);
  });
}

function judge(
  operations: readonly Operation[],
  {method, path}: FuzzRequest,
  {status, headers, text}: Answer,
): {fault?: string; operation?: Operation} {
  if (status === 0) return {fault: 'no answer'};
  if (status >= 500) return {fault: 'a 5xx'};
  if (headers['x-content-type-options'] !== 'nosniff') return {fault: 'no nosniff'};
  const here = operationsAt(operations, path.split('?')[0] ?? '');
  const asked = method === 'HEAD' ? 'GET' : method;
  const operation = here.find(each => each.method === asked);
  if (!operation) {
    // What is too long is not looked at.
    if (status === 431) return {};
    const wanted = here.length === 0 ? [404] : method === 'OPTIONS' ? [204] : [405];
    return wanted.includes(status) ? {} : {fault: `not ${wanted.join()} where there is no such operation`};
  }
  if (method === 'HEAD') return operation.answers.has(status) ? {} : {fault: 'an undocumented status', operation};
  const fault = operation.answers.has(status)
    ? faultOf(operation.answers.get(status), headers, text)
    : 'an undocumented status';
  return {operation, ...(fault !== undefined && {fault})};
}

function faultOf(
  promised: ReturnType<Operation['answers']['get']>,
  headers: Answer['headers'],
  text: string,
): string | undefined {
  if (!promised) return text === '' ? undefined : 'a body where there is none';
  const {mediaType, schema} = promised;
  const type = String(headers['content-type'] ?? '').split(';')[0];
  if (mediaType !== '*/*' && type !== mediaType) return `${type} instead of ${mediaType}`;
  if (!mediaType.endsWith('json')) return undefined;
  const parsed = schema.safeParse(JSON.parse(text));
  return parsed.success
    ? undefined
    : `not as promised (${parsed.error.issues[0]?.path.join('.')} ${parsed.error.issues[0]?.message})`;
}

function described({method, path, headers, body}: FuzzRequest): string {
  const told = Object.entries(headers).filter(([name]) => name !== 'authorization');
  return `${method} ${path.slice(0, 200)} ${JSON.stringify(Object.fromEntries(told))} ${body?.toString('latin1').slice(0, 300) ?? ''}`;
}

/** Two rooms with their people and a few messages, which are there whatever was done before, and people to erase. */
async function renew(url: string, service: string, round: number): Promise<Known> {
  const ask = async (method: string, path: string, body?: object) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {authorization: `Bearer ${service}`, 'content-type': 'application/json'},
      ...(body && {body: JSON.stringify(body)}),
    });
    return (await answer.json()) as {id: number};
  };
  const rooms: number[] = [];
  const messages: number[] = [];
  for (const user of ['mia', 'ann', 'sam']) await ask('PUT', `/api/users/${user}/`, {username: user});
  const leavers = Array.from({length: 3}, (_, i) => `leaver${round}-${i}`);
  for (const user of leavers) await ask('PUT', `/api/users/${user}/`, {username: user});
  for (const key of ['k', 'order-1']) {
    const {id} = await ask('PUT', `/api/rooms/by-key/${key}/`, {name: key, members: ['mia', 'ann', 'lee']});
    await ask('PATCH', `/api/rooms/${id}/`, {archived: false, visibility: 'public'});
    await ask('PUT', `/api/rooms/${id}/members/ann/`, {role: 'admin'});
    rooms.push(id);
    for (const user_id of ['mia', 'ann']) {
      messages.push((await ask('POST', `/api/rooms/${id}/messages/`, {content: 'hello', user_id})).id);
    }
  }
  const users = ['mia', 'ann', 'lee', 'sam', 'new'];
  const seq = [0, 1, 2];
  return {
    room: rooms,
    message: messages,
    before: messages,
    after: messages,
    around: messages,
    key: ['k', 'order-1', 'new'],
    user: users,
    leaver: leavers,
    user_id: users,
    channel: ['personal:mia', 'personal:ann'],
    seq,
    file: ['swagger-ui.css', 'start.js', 'x'],
  };
}
