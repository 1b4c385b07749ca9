// Lets Knex's own command line see the same database and migrations: npm run knex -- migrate:status
import {parseDatabaseUrl} from './src/db/connect.ts';
import {migrationSource} from './src/db/migrations.ts';

const target = parseDatabaseUrl(process.env['DATABASE_URL'] ?? 'sqlite:.chatctl/chat.db');

export default {
  ...(target.dialect === 'sqlite'
    ? {client: 'sqlite3', connection: {filename: target.path}, useNullAsDefault: true}
    : {client: 'pg', connection: target.url}),
  migrations: {migrationSource},
};
