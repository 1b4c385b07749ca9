// Imports that are under way: how far each has come, and whom the members of its rooms have not been told of yet.
import type {Knex} from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('imports', table => {
    table.string('id', 40).primary();
    table.string('kind', 20).notNullable();
    // Rows of the input that are in, and the hash of the input up to there.
    table.bigInteger('position').notNullable();
    table.string('input_hash', 64).notNullable();
    // JSON, what the one that goes on needs to know besides.
    table.text('state').notNullable();
    table.timestamp('updated_at').notNullable();
    table.timestamp('finished_at');
  });

  // Rooms that an import has changed and whose event is still to come.
  await knex.schema.createTable('import_rooms', table => {
    table.string('import_id', 40).notNullable();
    table.bigInteger('room_id').notNullable();
    // The version that a room came with, where the import made it; null where it was here before.
    table.bigInteger('made_version');
    table.primary(['import_id', 'room_id']);
  });

  // Members by a committed batch, as a JSON array of user ids, until an event tells of them.
  await knex.schema.createTable('import_added', table => {
    if (knex.client.config.client === 'pg') {
      table.specificType('id', 'bigint generated always as identity').primary();
    } else table.increments('id');
    table.bigInteger('room_id').notNullable().index('import_added_room_id_idx');
    table.text('users').notNullable();
  });
}

export async function down(knex: Knex): Promise<void> {
  for (const table of ['import_added', 'import_rooms', 'imports']) await knex.schema.dropTable(table);
}
