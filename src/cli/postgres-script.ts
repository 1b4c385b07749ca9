/** What the image of PostgreSQL makes the server's user and database by. The text is that of deploy/postgres.sql, which is no part of the package. */
export const postgresScript = [
  `-- Run by the image of PostgreSQL in a new volume, before anybody can connect. The server's user owns its database and`,
  `-- nothing else: a superuser could read the machine's files and run programs. Its password comes by the environment or a file.`,
  '\\set password `printf %s "${CHATCTL_PASSWORD:-$(cat /run/chatctl-postgres/password)}"`',
  `create role chatctl login password :'password';`,
  'create database chatctl owner chatctl;',
  '',
].join('\n');
