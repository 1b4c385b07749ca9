// One delivered publication as `listen` tells it: with everything that is needed to match it to a message and a room.
import type {PublicationContext} from '../realtime-client.ts';
import {inCell} from './text.ts';

export interface Delivery {
  type: 'event';
  channel: string;
  offset: number | null;
  epoch: string | null;
  /** From the message's making to its arrival; only messages carry a time. */
  latency_ms: number | null;
  room_id: number | null;
  version: number | null;
  message_id: number | null;
  data: {type: string; body: Record<string, unknown>};
}

type Fields = Record<string, unknown>;

export function deliveryOf({channel, offset, data}: PublicationContext, epoch: string | undefined): Delivery {
  const {type, body} = eventOf(data);
  const room = fieldsOf(body['room']);
  const isNew = type === 'message_added';
  return {
    type: 'event',
    channel,
    offset: offset ?? null,
    epoch: epoch ?? null,
    latency_ms: isNew ? Date.now() - Date.parse(String(body['created_at'])) : null,
    room_id: numberOf(room['id']),
    version: numberOf(room['version']),
    message_id: isNew || type === 'message_deleted' ? numberOf(body['id']) : null,
    data: {type, body},
  };
}

function eventOf(data: unknown): {type: string; body: Fields} {
  const {type, body} = fieldsOf(data);
  return {type: typeof type === 'string' ? type : 'unknown', body: fieldsOf(body)};
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}

/** A line for a person. */
export function readable({data, room_id, version, latency_ms}: Delivery): string {
  const {type, body} = data;
  const who = fieldsOf(body['user'])['username'];
  const room = fieldsOf(body['room'])['name'];
  const parts = [
    new Date().toTimeString().slice(0, 8),
    type,
    `room ${room_id}${typeof room === 'string' ? ` ${room}` : ''} v${version}`,
    typeof who === 'string' ? who : undefined,
    typeof body['content'] === 'string' && body['content'] !== '' ? `"${body['content']}"` : undefined,
    latency_ms === null ? undefined : `(${latency_ms} ms)`,
  ];
  return parts
    .filter(part => part !== undefined)
    .map(inCell)
    .join('  ');
}
