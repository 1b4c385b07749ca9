// What a takeover has left out so far, a row for each batch that left something out: were it in one text that each batch
// writes anew, a database full of rows that cannot be here would cost the square of their number.
import type {Knex} from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('import_refused', table => {
    table.string('import_id', 40).notNullable();
    // Rows of the input that are in with the batch.
    table.bigInteger('position').notNullable();
    // JSON, the caller's own.
    table.text('refused').notNullable();
    table.primary(['import_id', 'position']);
  });
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('import_refused');
}
