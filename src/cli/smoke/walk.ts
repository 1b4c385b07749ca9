// The walk through the whole chat, step by step. A step fails by throwing; those that need it are then skipped.
import {callApi, type ApiAnswer} from '../../api.ts';
import {personalChannel} from '../../core/channels.ts';
import type {Delivery} from '../delivery.ts';
import {mustBe} from './failure.ts';
import type {Person} from './person.ts';
import type {Stage, Step} from './step.ts';

/** What the steps work on and leave for each other. */
interface World {
  stage: Stage;
  apiUrl: string;
  alice: Person;
  bob: Person;
  outsider: Person;
  service: Stage['service'];
  roomName: string;
  roomId?: number;
  version: number;
}

type Act = (world: World) => Promise<void>;

const acts: [id: string, about: string, needs: string[], run: Act][] = [
  ['api', 'the API answers and its database is ready', [], apiIsUp],
  ['tokens', 'tokens of two users and of the service are accepted', ['api'], tokensAreAccepted],
  ['room', 'the service creates a room', ['tokens'], createRoom],
  ['connect', 'both users connect and subscribe', ['tokens'], connect],
  ['join', 'both join, and both are told', ['room', 'connect'], join],
  ['post', 'one posts, both receive it, the version rises by one', ['join'], post],
  ['list', 'the list of messages shows it', ['post'], list],
  ['recover', 'who was away gets what was missed, in order, once', ['post'], recover],
  ['outsider', 'an outsider and a forged token are refused', ['room'], refuseOutsider],
  ['leave', 'one leaves, and both are told', ['join'], leave],
  ['clean', 'the room is removed, its users are deactivated', ['room'], clean],
];

/** The built-in steps, for one run. */
export function walk(): Step[] {
  let world: World | undefined;
  return acts.map(([id, about, needs, run]) => ({
    id,
    about,
    needs,
    always: id === 'clean',
    run: stage => run((world ??= createWorld(stage))),
  }));
}

function createWorld(stage: Stage): World {
  const person = (name: string) => stage.person(`smoke-${stage.mark}-${name}`);
  return {
    stage,
    apiUrl: stage.apiUrl,
    alice: person('alice'),
    bob: person('bob'),
    outsider: person('outsider'),
    service: stage.service,
    roomName: `smoke ${stage.mark}`,
    version: 0,
  };
}

async function apiIsUp({apiUrl}: World): Promise<void> {
  const {status, body} = await callApi(apiUrl, 'GET', '/readyz');
  mustBe(status === 200, `GET /readyz answered ${status}: ${JSON.stringify(body)}`);
}

async function tokensAreAccepted({alice, bob, outsider, service}: World): Promise<void> {
  for (const person of [alice, bob, outsider]) {
    const answer = await person.call('GET', '/api/token/connection/');
    mustBe(
      answer.status !== 401,
      `The API refused a user's token${detailOf(answer)}. Its JWT_SECRET is not the one here.`,
    );
    mustHave(answer, 200, 'GET /api/token/connection/');
    mustBe(typeof answer.body['token'] === 'string', 'GET /api/token/connection/ answered without a token.');
  }
  const answer = await service('GET', '/api/rooms/?all=true&limit=1');
  mustHave(answer, 200, 'listing all rooms with a service token');
}

async function createRoom(world: World): Promise<void> {
  const answer = await world.service('POST', '/api/rooms/', {name: world.roomName});
  mustHave(answer, 201, 'creating a room');
  world.roomId = Number(answer.body['id']);
  world.version = Number(answer.body['version']);
}

async function connect({alice, bob, stage}: World): Promise<void> {
  await Promise.all([alice.connect(stage.realtimeUrl), bob.connect(stage.realtimeUrl)]);
}

async function join(world: World): Promise<void> {
  const {alice, bob} = world;
  for (const person of [alice, bob]) {
    mustHave(await person.call('POST', `${roomPath(world)}join/`), 200, 'joining');
    mustBe(await isNext(world, person), `The version did not rise by one when ${person.id} joined.`);
  }
  const joined = (who: Person) => (event: Delivery) => isOf(world, event, 'user_joined') && userIn(event) === who.id;
  await alice.waitFor('user_joined of their own', joined(alice));
  await alice.waitFor('user_joined of the other', joined(bob));
  await bob.waitFor('user_joined of their own', joined(bob));
}

async function post(world: World): Promise<void> {
  const id = await postAs(world, world.alice, 'smoke');
  world.version += 1;
  for (const person of [world.alice, world.bob]) {
    const event = await person.waitFor('message_added', each => each.message_id === id);
    mustBe(event.version === world.version, `message_added has version ${event.version}, not ${world.version}.`);
  }
}

async function list(world: World): Promise<void> {
  const answer = await world.bob.call('GET', `${roomPath(world)}messages/?limit=1`);
  mustHave(answer, 200, 'listing messages');
  const [message] = Array.isArray(answer.body['results']) ? (answer.body['results'] as {content?: unknown}[]) : [];
  mustBe(message?.content === 'smoke', 'The newest message in the list is not the one that was posted.');
}

async function recover(world: World): Promise<void> {
  const {alice, bob} = world;
  const lost = 'history_size, history_ttl and force_recovery of the namespace personal must be set';
  mustBe(bob.recoverable(), `The server keeps no history, so that nothing can be recovered: ${lost}.`);
  const before = bob.events.length;
  bob.drop();
  const missed: number[] = [];
  for (const content of ['missed 1', 'missed 2', 'missed 3']) missed.push(await postAs(world, alice, content));
  world.version += missed.length;
  const last = missed.at(-1);
  await alice.waitFor('the last of three messages', event => event.message_id === last);
  mustBe(await bob.back(), `Nothing was recovered after a drop: ${lost}.`);
  await bob.waitFor('the messages that were missed', event => event.message_id === last);
  const found = bob.events.slice(before).map(event => event.message_id);
  mustBe(
    JSON.stringify(found) === JSON.stringify(missed),
    `Recovered were ${found.join(', ')} and not ${missed.join(', ')}.`,
  );
}

async function refuseOutsider(world: World): Promise<void> {
  const {outsider, alice, apiUrl} = world;
  const channel = encodeURIComponent(personalChannel(alice.id));
  mustHave(
    await outsider.call('GET', `/api/token/subscription/?channel=${channel}`),
    403,
    "a token for another's channel",
  );
  mustHave(await outsider.call('POST', `${roomPath(world)}messages/`, {content: 'hello'}), 404, 'a post from outside');
  const forged = await callApi(apiUrl, 'GET', '/api/rooms/', {token: world.stage.forgedToken});
  mustHave(forged, 401, 'a token with a forged signature');
}

async function leave(world: World): Promise<void> {
  const {alice, bob} = world;
  mustHave(await bob.call('POST', `${roomPath(world)}leave/`), 200, 'leaving');
  const left = (event: Delivery) => isOf(world, event, 'user_left') && userIn(event) === bob.id;
  await Promise.all([alice.waitFor('user_left', left), bob.waitFor('user_left of their own', left)]);
}

async function clean(world: World): Promise<void> {
  mustHave(await world.service('DELETE', roomPath(world)), 204, 'deleting the room');
  for (const {id} of [world.alice, world.bob, world.outsider]) {
    mustHave(await world.service('DELETE', `/api/users/${encodeURIComponent(id)}/`), 204, `deactivating ${id}`);
  }
}

function roomPath({roomId}: World): string {
  return `/api/rooms/${roomId}/`;
}

async function isNext(world: World, person: Person): Promise<boolean> {
  const {body} = await person.call('GET', roomPath(world));
  world.version += 1;
  return body['version'] === world.version;
}

async function postAs(world: World, person: Person, content: string): Promise<number> {
  const answer = await person.call('POST', `${roomPath(world)}messages/`, {content});
  mustHave(answer, 201, 'posting');
  return Number(answer.body['id']);
}

function mustHave(answer: ApiAnswer, status: number, what: string): void {
  mustBe(answer.status === status, `${what} answered ${answer.status} and not ${status}${detailOf(answer)}.`);
}

function detailOf({body}: ApiAnswer): string {
  return typeof body['detail'] === 'string' ? ` (${body['detail']})` : '';
}

function isOf(world: World, event: Delivery, type: string): boolean {
  return event.data.type === type && event.room_id === world.roomId;
}

function userIn({data}: Delivery): unknown {
  const {user} = data.body;
  return typeof user === 'object' && user !== null ? Reflect.get(user, 'id') : undefined;
}
