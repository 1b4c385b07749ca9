// The audit log can only grow: the database itself refuses to change or remove a row, whoever asks.
import type {Knex} from 'knex';

const refusal = 'the audit log is append-only';

export async function up(knex: Knex): Promise<void> {
  await knex.schema.alterTable('audit', table => {
    table.dropIndex('room_id', 'audit_room_id_idx');
    table.dropIndex('user_id', 'audit_user_id_idx');
    // Lists go by id, newest first; each filter reads its own part of the log in that order.
    for (const column of ['actor', 'action', 'room_id', 'user_id'])
      table.index([column, 'id'], `audit_${column}_id_idx`);
    table.index(['at'], 'audit_at_idx');
  });
  for (const statement of isSqlite(knex) ? sqliteGuards : postgresGuards) await knex.raw(statement);
}

export async function down(knex: Knex): Promise<void> {
  for (const statement of isSqlite(knex) ? sqliteUnguards : postgresUnguards) await knex.raw(statement);
  await knex.schema.alterTable('audit', table => {
    for (const column of ['actor', 'action', 'room_id', 'user_id'])
      table.dropIndex([column, 'id'], `audit_${column}_id_idx`);
    table.dropIndex(['at'], 'audit_at_idx');
    table.index(['room_id'], 'audit_room_id_idx');
    table.index(['user_id'], 'audit_user_id_idx');
  });
}

const sqliteGuards = ['update', 'delete'].map(
  change => `create trigger audit_no_${change} before ${change} on audit begin select raise(abort, '${refusal}'); end`,
);
const sqliteUnguards = ['update', 'delete'].map(change => `drop trigger audit_no_${change}`);

const postgresGuards = [
  `create function audit_is_append_only() returns trigger language plpgsql as
   'begin raise exception ''${refusal}''; end'`,
  `create trigger audit_append_only before update or delete or truncate on audit
   for each statement execute function audit_is_append_only()`,
];
const postgresUnguards = ['drop trigger audit_append_only on audit', 'drop function audit_is_append_only()'];

function isSqlite(knex: Knex): boolean {
  return knex.client.config.client !== 'pg';
}
