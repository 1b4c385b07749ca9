import {z} from 'zod';
import {auditActions, listAudit} from '../../core/audit.ts';
import {AuditActorInput, AuditIdInput, PageSizeInput, RoomIdInput, TimeInput, UserIdInput} from '../../core/input.ts';
import {presentAudit} from '../../core/present.ts';
import {presentPage} from '../pages.ts';
import {route, type Route} from '../route.ts';
import * as schemas from '../schemas.ts';

export const auditRoutes: Route[] = [
  route({
    method: 'get',
    path: '/api/audit/',
    rights: ['read the audit log'],
    summary: 'Who changed what, when and through which door, newest first',
    query: z.strictObject({
      since: TimeInput.optional(),
      until: TimeInput.optional(),
      actor: AuditActorInput.optional(),
      action: z.enum(auditActions).optional(),
      room: RoomIdInput.optional(),
      user: UserIdInput.optional(),
      before: AuditIdInput.optional().meta({description: 'Entries older than this one.'}),
      limit: PageSizeInput,
    }),
    answers: {200: schemas.pageOf(schemas.Audit, 'Audit')},
    refusals: [403],
    async handle({chat, actor, query, options}) {
      const {before, limit, ...filter} = query;
      const page = await listAudit(chat, actor, filter, {before, limit});
      return {status: 200, body: presentPage(options.publicUrl(), '/api/audit/', query, page, presentAudit)};
    },
  }),
];
