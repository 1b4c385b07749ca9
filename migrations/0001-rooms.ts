// Users, rooms, members and messages.
import type {Knex} from 'knex';

export async function up(knex: Knex): Promise<void> {
  const sqlite = isSqlite(knex);

  await knex.schema.createTable('users', table => {
    ordered(knex, table, 'id', 200).primary();
    table.string('username', 150).notNullable();
    table.timestamp('created_at').notNullable();
    table.timestamp('deactivated_at');
    // The row of an erased user stays, so that the id is refused and not made anew.
    table.timestamp('erased_at');
  });

  await knex.schema.createTable('rooms', table => {
    identity(knex, table);
    table.string('key', 200).unique({indexName: 'rooms_key_idx'});
    table.string('name', 200).notNullable();
    ordered(knex, table, 'name_key', 400).notNullable().index('rooms_name_key_idx');
    table.string('visibility', 10).notNullable();
    table.bigInteger('version').notNullable().defaultTo(0);
    table.bigInteger('members_version').notNullable().defaultTo(0);
    table.bigInteger('member_count').notNullable().defaultTo(0);
    table.bigInteger('last_seq').notNullable().defaultTo(0);
    table.bigInteger('last_message_id');
    table.timestamp('created_at').notNullable();
    table.timestamp('bumped_at').notNullable();
    table.timestamp('archived_at');
    table.timestamp('deleted_at');
    table.index(['bumped_at', 'id'], 'rooms_bumped_at_id_idx');
    // Deleted rooms wait here for their rows to be removed; there are few.
    table.index(['id'], 'rooms_deleted_idx', {predicate: knex.whereNotNull('deleted_at')});
  });

  await knex.schema.createTable('members', table => {
    table.bigInteger('room_id').notNullable().references('id').inTable('rooms');
    ordered(knex, table, 'user_id', 200).notNullable().references('id').inTable('users');
    table.string('role', 10).notNullable();
    table.timestamp('joined_at').notNullable();
    // The room's version of the joining: events before it are not this member's to receive.
    table.bigInteger('joined_version').notNullable();
    table.bigInteger('last_read_seq').notNullable().defaultTo(0);
    table.primary(['room_id', 'user_id']);
    table.index(['user_id', 'room_id'], 'members_user_id_room_id_idx');
  });

  await knex.schema.createTable('messages', table => {
    // PostgreSQL: keyed by room first, so that partitions or shards by room need no other schema.
    if (sqlite) table.increments('id');
    else table.specificType('id', 'bigint generated always as identity').notNullable().index('messages_id_idx');
    table.bigInteger('room_id').notNullable().references('id').inTable('rooms');
    table.bigInteger('seq').notNullable();
    table.bigInteger('version').notNullable();
    table.string('user_id', 200).references('id').inTable('users');
    // The author's id, or empty for the system: NULL would not be unique.
    table.string('author_key', 200).notNullable();
    table.text('content').notNullable();
    table.string('client_id', 255);
    table.timestamp('created_at').notNullable();
    table.timestamp('deleted_at');
    if (!sqlite) table.primary(['room_id', 'id']);
    table.unique(['room_id', 'seq'], {indexName: 'messages_room_id_seq_idx'});
    table.unique(['room_id', 'author_key', 'client_id'], {indexName: 'messages_room_id_author_key_client_id_idx'});
  });
}

export async function down(knex: Knex): Promise<void> {
  for (const table of ['messages', 'members', 'rooms', 'users']) await knex.schema.dropTable(table);
}

/** Text that lists are ordered by: by its bytes on both databases, whatever the locale of the cluster. */
function ordered(knex: Knex, table: Knex.CreateTableBuilder, name: string, length: number): Knex.ColumnBuilder {
  if (isSqlite(knex)) return table.string(name, length);
  return table.specificType(name, `varchar(${length}) collate "C"`);
}

function identity(knex: Knex, table: Knex.CreateTableBuilder): void {
  if (isSqlite(knex)) table.increments('id');
  else table.specificType('id', 'bigint generated always as identity').primary();
}

function isSqlite(knex: Knex): boolean {
  return knex.client.config.client !== 'pg';
}
