-- Run by the image of PostgreSQL in a new volume, before anybody can connect. The server's user owns its database and
-- nothing else: a superuser could read the machine's files and run programs. Its password comes by the environment or a file.
\set password `printf %s "${CHATCTL_PASSWORD:-$(cat /run/chatctl-postgres/password)}"`
create role chatctl login password :'password';
create database chatctl owner chatctl;
