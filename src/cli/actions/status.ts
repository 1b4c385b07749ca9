import {getStatus} from '../../core/status.ts';
import {migrations} from '../../db/migrations.ts';
import {announcedServer} from '../addresses.ts';
import type {Cli} from '../context.ts';
import {statusFields} from '../fields.ts';
import {targetOf} from '../target.ts';

export async function showStatus(cli: Cli): Promise<void> {
  const chat = await cli.chat();
  const {counts: _, ...target} = await targetOf(chat, cli.actor);
  const {counts, outbox, lastMessage} = await getStatus(chat, cli.actor);
  const running = announcedServer(await cli.config());
  const status = {
    target,
    schema: migrations.at(-1)?.name ?? null,
    counts,
    outbox: {depth: outbox.depth, oldest_age_ms: outbox.oldestAgeMs, parked: outbox.parked},
    last_message: lastMessage,
    server: running?.servesThis ? running.api_url : null,
  };
  cli.print({
    items: [status],
    columns: statusFields,
    id: 'target.database',
    single: true,
    json: ([only]) => only ?? {},
  });
  if (outbox.parked > 0) cli.note('Parked events: chatctl outbox list --parked');
  if (!running) cli.note('No server of this project runs here; start one with: chatctl dev');
  else if (!running.servesThis)
    cli.note(`A server of this project runs at ${running.api_url}, and serves ${running.database}.`);
}
