// Requests counted by all servers together. What is lost in a crash is a window of seconds, so PostgreSQL need not log it.
import type {Knex} from 'knex';

export async function up(knex: Knex): Promise<void> {
  await knex.schema.createTable('rate_limits', table => {
    // A hash: who asked, from where and in which room is nobody's business here.
    table.string('key', 255).primary();
    table.integer('points').notNullable().defaultTo(0);
    table.bigInteger('expire');
  });
  if (knex.client.config.client === 'pg') await knex.raw('alter table rate_limits set unlogged');
}

export async function down(knex: Knex): Promise<void> {
  await knex.schema.dropTable('rate_limits');
}
