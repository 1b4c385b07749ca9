// The first step of docker-compose.yml: init <folder>
//
// Makes the secrets that are missing, keeps those that are there, and writes what follows from them: the address of the
// database and Centrifugo's configuration. The folder has one subfolder, and in the compose file one volume, for each
// service, so that none sees the secrets of another. Files are readable by their owner and group only: the other
// images run under users of their own and join the group.
import {chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import {centrifugoConfig} from '../src/core/centrifugo-config.ts';
import {makeSecret} from '../src/core/secrets.ts';

const ports = {clients: 8_000, internal: 8_001};

function initialise(folder: string): void {
  const secret = (name: string) => keepOrMake(join(folder, name));
  secret('chatctl/jwt_secret');
  secret('grafana/password');
  const token = secret('chatctl/centrifugo_token_secret');
  const apiKey = secret('chatctl/centrifugo_api_key');
  const metricsKey = secret('chatctl/metrics_key');
  const password = secret('postgres/password');
  secret('postgres/superuser_password');

  const config = centrifugoConfig({
    port: ports.clients,
    internalPort: ports.internal,
    // They come by the environment of the service, so that a change of them makes compose start it anew.
    allowedOrigins: [],
    redisUrl: 'redis://redis:6379',
    secrets: {token, apiKey},
  });
  bringTo(join(folder, 'centrifugo/config.json'), JSON.stringify(config, null, 2));
  bringTo(join(folder, 'chatctl/database_url'), `postgres://chatctl:${password}@postgres:5432/chatctl`);
  bringTo(join(folder, 'prometheus/metrics_key'), metricsKey);
}

function keepOrMake(path: string): string {
  const known = read(path);
  if (known) return tell('kept', path, known);
  const made = makeSecret();
  write(path, made);
  return tell('made', path, made);
}

/** What follows from the secrets is written where it is not so yet. */
function bringTo(path: string, text: string): void {
  if (read(path) === text) return void tell('kept', path, text);
  write(path, text);
  tell('wrote', path, text);
}

function read(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8').replace(/\r?\n$/, '') : undefined;
}

/** By another file and a new name, so that a start that was cut off leaves no half of a secret. */
function write(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  mkdirSync(dirname(path), {recursive: true, mode: 0o750});
  writeFileSync(temporary, `${text}\n`, {mode: 0o640});
  chmodSync(temporary, 0o640);
  renameSync(temporary, path);
}

function tell(what: string, path: string, value: string): string {
  process.stdout.write(`${what} ${path}\n`);
  return value;
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Name the folder that the secrets go to: init <folder>');
initialise(folder);
