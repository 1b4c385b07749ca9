import {auditActions, listAudit as read} from '../../core/audit.ts';
import {ChatError} from '../../core/errors.ts';
import {AuditActorInput, AuditIdInput, maxPageSize} from '../../core/input.ts';
import {presentAudit} from '../../core/present.ts';
import type {AuditFilter, AuditRow} from '../../db/audit.ts';
import type {Cli} from '../context.ts';
import {didYouMean} from '../../core/nearest.ts';
import {toInput, toExistingUser, toMoment, toRoomId} from './parse.ts';

interface AuditOptions {
  since?: number | string;
  until?: number | string;
  actor?: string;
  action?: string;
  room?: string;
  user?: string;
  limit: number;
  after?: string;
  all?: boolean;
}

export async function listAudit(cli: Cli, options: AuditOptions): Promise<void> {
  const chat = await cli.chat();
  const filter: AuditFilter = {
    since: toMoment(options.since, '--since', chat.now()),
    until: toMoment(options.until, '--until', chat.now()),
    actor: options.actor === undefined ? undefined : toInput(AuditActorInput, options.actor, '--actor'),
    action: toAction(options.action),
    // A room that was deleted is still in the log.
    room: options.room === undefined ? undefined : await toRoomId(cli, options.room),
    user: options.user === undefined ? undefined : await toExistingUser(cli, options.user),
  };
  const wanted = options.all ? Infinity : options.limit;
  const items: AuditRow[] = [];
  let before = options.after === undefined ? undefined : toInput(AuditIdInput, options.after, '--after');
  let more = true;
  while (more && items.length < wanted) {
    const page = await read(chat, cli.actor, filter, {before, limit: Math.min(wanted - items.length, maxPageSize)});
    items.push(...page.items);
    more = page.next !== null;
    before = items.at(-1)?.id;
  }
  const next = more ? String(before) : null;
  if (next !== null) cli.note(`There is more: --after ${next}, or --all.`);
  cli.print({
    items: items.map(presentAudit),
    columns: ['id', 'at', 'actor', 'door', 'action', 'room_id', 'user_id', 'detail'],
    id: 'id',
    json: found => ({entries: found, next}),
  });
}

function toAction(text: string | undefined): string | undefined {
  if (text === undefined || auditActions.some(each => each === text)) return text;
  throw new ChatError('unknown_value', `There is no action ${text}.`, {
    hint: [didYouMean(text, auditActions), `The actions are ${auditActions.join(', ')}.`].filter(Boolean).join('\n'),
  });
}
