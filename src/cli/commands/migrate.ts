import type {Command} from 'commander';
import {declare} from '../command.ts';

const act = () => import('../actions/migrate.ts');

export function declareMigrate(program: Command): void {
  const migrate = program.command('migrate').description('The database schema: up, down, status, unlock');
  declare(migrate, {
    usage: 'up',
    summary: 'Apply pending migrations; a SQLite file is made where there is none',
    features: ['dry-run'],
    examples: ['migrate up'],
    exits: '4 another migration runs',
    needs: 'answer',
    load: async () => (await act()).migrateUp,
  }).option('--to <migration>', 'stop after this one');
  declare(migrate, {
    usage: 'down',
    summary: 'Take back the newest migration, and the data in its tables',
    features: ['dry-run', 'confirm'],
    examples: ['migrate down --confirm chat.db'],
    exits: '4 another migration runs',
    needs: 'answer',
    load: async () => (await act()).migrateDown,
  }).option('--to <migration>', 'take back all after this one');
  declare(migrate, {
    usage: 'status',
    summary: 'Show applied and pending migrations',
    examples: ['migrate status --check'],
    exits: '8 migrations are pending, with --check',
    needs: 'answer',
    load: async () => (await act()).migrateStatus,
  }).option('--check', 'end with 8 when migrations are pending');
  declare(migrate, {
    usage: 'unlock',
    summary: 'Release the lock of a migration that was killed',
    features: ['dry-run', 'yes'],
    examples: ['migrate unlock --yes'],
    needs: 'answer',
    load: async () => (await act()).migrateUnlock,
  });
}
