import {auditActions, listAuditBefore} from '../../core/audit.ts';
import {ChatError} from '../../core/errors.ts';
import {AuditActorInput, AuditIdInput} from '../../core/input.ts';
import {presentAudit} from '../../core/present.ts';
import type {AuditFilter} from '../../db/audit.ts';
import type {Cli} from '../context.ts';
import {didYouMean} from '../../core/nearest.ts';
import {printList, stretches, type ListOptions} from './lists.ts';
import {toInput, toExistingUser, toMoment, toRoomId} from './parse.ts';

interface AuditOptions extends ListOptions {
  since?: number | string;
  until?: number | string;
  actor?: string;
  action?: string;
  room?: string;
  user?: string;
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
  const found = stretches(options, (after, limit) => {
    const before = after === undefined ? undefined : toInput(AuditIdInput, after, '--after');
    return listAuditBefore(chat, cli.actor, filter, {before, limit});
  });
  const {actor, action, room, user, limit} = options;
  const listing = {
    name: 'entries',
    present: presentAudit,
    columns: ['id', 'at', 'actor', 'door', 'action', 'room_id', 'user_id', 'detail'],
    id: 'id',
    command: ['audit', 'list'],
    flags: {
      '--since': filter.since,
      '--until': filter.until,
      '--actor': actor,
      '--action': action,
      '--room': room,
      '--user': user,
      '--limit': limit,
    },
  };
  await printList(cli, listing, found);
}

function toAction(text: string | undefined): string | undefined {
  if (text === undefined || auditActions.some(each => each === text)) return text;
  throw new ChatError('unknown_value', `There is no action ${text}.`, {
    hint: [didYouMean(text, auditActions), `The actions are ${auditActions.join(', ')}.`].filter(Boolean).join('\n'),
  });
}
