// Events that wait for delivery, those that could not be delivered, the audit log, and facts about this database.
import {randomBytes} from 'node:crypto';
import type {Knex} from 'knex';

/** Drainers share the outbox by partition; the number is stored because changing it strands rows. */
const partitionCount = 16;

export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('outbox', table => {
    identity(knex, table);
    eventColumns(table);
    table.index(['partition', 'id'], 'outbox_partition_id_idx');
  });

  await knex.schema.createTable('outbox_parked', table => {
    table.bigInteger('id').primary();
    eventColumns(table);
    table.timestamp('parked_at').notNullable();
    table.text('error').notNullable();
  });

  await knex.schema.createTable('audit', table => {
    identity(knex, table);
    table.timestamp('at').notNullable();
    table.string('actor', 220).notNullable();
    table.string('door', 10).notNullable();
    table.string('action', 50).notNullable();
    table.bigInteger('room_id').index('audit_room_id_idx');
    table.string('user_id', 200).index('audit_user_id_idx');
    table.text('detail').notNullable();
  });

  await knex.schema.createTable('meta', table => {
    table.string('key', 50).primary();
    table.string('value', 200).notNullable();
  });
  await knex('meta').insert([
    {key: 'database_id', value: randomBytes(6).toString('hex')},
    {key: 'partition_count', value: String(partitionCount)},
  ]);
}

export async function down(knex: Knex): Promise<void> {
  for (const table of ['meta', 'audit', 'outbox_parked', 'outbox']) await knex.schema.dropTable(table);
}

function eventColumns(table: Knex.CreateTableBuilder): void {
  table.integer('partition').notNullable();
  table.bigInteger('room_id').notNullable();
  table.string('type', 30).notNullable();
  table.string('idempotency_key', 100).notNullable();
  // JSON text, delivered byte for byte.
  table.text('body').notNullable();
  table.bigInteger('version').notNullable();
  table.bigInteger('members_version').notNullable();
  // JSON arrays of user ids: receivers who are no longer members, and those whom this very event added.
  table.text('also_to');
  table.text('added');
  table.timestamp('created_at').notNullable();
}

function identity(knex: Knex, table: Knex.CreateTableBuilder): void {
  if (knex.client.config.client !== 'pg') table.increments('id');
  else table.specificType('id', 'bigint generated always as identity').primary();
}
