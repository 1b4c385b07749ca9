// The files of a project: settings with secrets of its own and, where wanted, a compose file with what runs beside it.
// Nothing that is there is touched without --force, and with it secrets stay: tokens that are out would else be refused.
import {chmodSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join, relative, resolve} from 'node:path';
import {configPath} from '../../config.ts';
import {centrifugoConfig} from '../../core/centrifugo-config.ts';
import {commandLine} from '../../core/command-line.ts';
import {ChatError} from '../../core/errors.ts';
import {makeSecret} from '../../core/secrets.ts';
import type {Cli} from '../context.ts';
import {isJson} from '../output.ts';
import {makeFolder} from '../../db/folders.ts';
import {postgresScript} from '../postgres-script.ts';
import {notWritable} from '../writable.ts';
import {fileExists} from './files.ts';

type How = 'docker' | 'url' | 'none';

interface InitOptions {
  centrifugo?: How;
  force?: boolean;
  print?: boolean;
}

interface ProjectFile {
  /** From the project's folder. */
  path: string;
  text: string;
  secret: boolean;
}

/** The settings of the project file, as text by name. */
type Settings = Record<string, string>;

export async function init(cli: Cli, dir: string | undefined, options: InitOptions): Promise<void> {
  const folder = resolve(cli.io.cwd, dir ?? '.');
  const plan = await planOf(cli, options);
  const path = configPath(folder);
  const {DATABASE_URL: oldUrl, ...secrets} = options.force ? secretsIn(path) : {};
  const kept = {...secrets, ...(plan.database === 'postgres' && oldUrl !== undefined && {DATABASE_URL: oldUrl})};
  const secret = options.print ? () => placeholder : makeSecret;
  const superuser = (options.force && superuserIn(join(folder, superuserFile))) || secret();
  const files = filesOf(plan, {...made(plan, secret), ...kept}, superuser);
  const next = nextSteps(plan, dir);
  if (options.print) return print(cli, files);

  const taken = files.map(file => join(folder, file.path)).filter(each => existsSync(each));
  if (taken.length > 0 && !options.force) throw fileExists(cli, taken, 'With --force they are written over.');
  const actions = files.map(file => ({
    path: relative(cli.io.cwd, join(folder, file.path)),
    action: taken.includes(join(folder, file.path)) ? 'replaced' : 'created',
  }));
  if (cli.globals.dryRun) cli.note('Dry run: nothing was written.');
  else writeAll(folder, files);
  cli.print({
    items: actions,
    columns: ['action', 'path'],
    id: 'path',
    json: all => ({dir: folder, files: all, next}),
  });
  for (const step of next) cli.note(`Next: ${step}`);
}

interface Plan {
  database: 'sqlite' | 'postgres' | 'url';
  databaseUrl: string | undefined;
  centrifugo: How;
  centrifugoUrl: string | undefined;
}

async function planOf(cli: Cli, options: InitOptions): Promise<Plan> {
  const {db, centrifugoApiUrl} = cli.globals;
  const unasked = <Value>(usual: Value) => (cli.ask.canAsk ? undefined : usual);
  const wanted =
    db ??
    (await cli.ask.choose(unasked('sqlite'), '--db', 'Which database?', [
      {value: 'sqlite', name: 'SQLite, a file; nothing to install'},
      {value: 'postgres', name: 'PostgreSQL, in Docker beside this'},
    ]));
  const centrifugo =
    options.centrifugo ??
    (centrifugoApiUrl === undefined ? undefined : 'url') ??
    (await cli.ask.choose<How>(unasked('none'), '--centrifugo', 'Who delivers in real time?', [
      {value: 'none', name: 'the embedded endpoint; nothing to install'},
      {value: 'docker', name: 'Centrifugo, in Docker beside this'},
    ]));
  if (centrifugo === 'url' && centrifugoApiUrl === undefined) {
    throw new ChatError('input_required', '--centrifugo url needs --centrifugo-api-url <url>.');
  }
  const database = wanted === 'sqlite' || wanted === 'postgres' ? wanted : 'url';
  if (database === 'url') (await import('../../db/connect.ts')).parseDatabaseUrl(wanted);
  return {
    database,
    databaseUrl: database === 'url' ? wanted : undefined,
    centrifugo,
    centrifugoUrl: centrifugo === 'docker' ? 'http://127.0.0.1:8000' : centrifugoApiUrl,
  };
}

const placeholder = '<made by chatctl init>';

function made(plan: Plan, secret: () => string): Settings {
  const password = plan.database === 'postgres' ? secret() : undefined;
  const url = password === undefined ? plan.databaseUrl : `postgres://chatctl:${password}@127.0.0.1:5432/chatctl`;
  return {
    ...(url !== undefined && {DATABASE_URL: url}),
    JWT_SECRET: secret(),
    CENTRIFUGO_TOKEN_SECRET: secret(),
    CENTRIFUGO_API_KEY: secret(),
    ...(plan.centrifugoUrl !== undefined && {CENTRIFUGO_API_URL: plan.centrifugoUrl}),
  };
}

const secretNames = ['JWT_SECRET', 'CENTRIFUGO_TOKEN_SECRET', 'CENTRIFUGO_API_KEY'];

/** Secrets of an earlier start, and the database's address with its password where it is PostgreSQL's here. */
function secretsIn(path: string): Settings {
  if (!existsSync(path)) return {};
  try {
    const before = JSON.parse(readFileSync(path, 'utf8')) as Settings;
    const ours = before['DATABASE_URL']?.startsWith('postgres://chatctl:') ? ['DATABASE_URL'] : [];
    return Object.fromEntries(Object.entries(before).filter(([name]) => [...secretNames, ...ours].includes(name)));
  } catch {
    return {};
  }
}

const superuserFile = '.chatctl/postgres.env';

/** The superuser's password of an earlier start: the volume of the database was made with it. */
function superuserIn(path: string): string | undefined {
  return existsSync(path) ? /^POSTGRES_PASSWORD=(.+)$/m.exec(readFileSync(path, 'utf8'))?.[1] : undefined;
}

function filesOf(plan: Plan, settings: Settings, superuser: string): ProjectFile[] {
  const files: ProjectFile[] = [
    {path: '.chatctl/config.json', text: `${JSON.stringify(settings, null, 2)}\n`, secret: true},
    // What lies in this folder is nobody else's: secrets and a database.
    {path: '.chatctl/.gitignore', text: '*\n', secret: false},
  ];
  const inDocker = {postgres: plan.database === 'postgres', centrifugo: plan.centrifugo === 'docker'};
  if (inDocker.centrifugo) {
    const variables = [
      `CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY=${settings['CENTRIFUGO_TOKEN_SECRET']}`,
      `CENTRIFUGO_HTTP_API_KEY=${settings['CENTRIFUGO_API_KEY']}`,
    ];
    const config = centrifugoConfig({port: 8_000, allowedOrigins: ['http://localhost:*', 'http://127.0.0.1:*']});
    files.push({path: '.chatctl/centrifugo.env', text: `${variables.join('\n')}\n`, secret: true});
    files.push({path: 'centrifugo.json', text: `${JSON.stringify(config, null, 2)}\n`, secret: false});
  }
  if (inDocker.postgres) {
    const {password} = new URL(settings['DATABASE_URL'] ?? '');
    const text = `POSTGRES_PASSWORD=${superuser}\nCHATCTL_PASSWORD=${decodeURIComponent(password)}\n`;
    files.push({path: superuserFile, text, secret: true});
    files.push({path: 'postgres.sql', text: postgresScript, secret: false});
  }
  if (inDocker.centrifugo || inDocker.postgres)
    files.push({path: 'compose.yaml', text: compose(inDocker), secret: false});
  return files;
}

/** Compose itself reads the files of variables, so that they need not be readable by the users of the images. */
function compose({postgres, centrifugo}: {postgres: boolean; centrifugo: boolean}): string {
  const services = [
    centrifugo &&
      `  centrifugo:
    image: centrifugo/centrifugo:v6.9.1
    command: [centrifugo, -c, /run/centrifugo.json]
    env_file: .chatctl/centrifugo.env
    volumes: ['./centrifugo.json:/run/centrifugo.json:ro']
    ports: ['127.0.0.1:8000:8000']
    restart: unless-stopped`,
    postgres &&
      `  postgres:
    image: postgres:17.10-bookworm
    env_file: .chatctl/postgres.env
    volumes:
      - postgres-data:/var/lib/postgresql/data
      - ./postgres.sql:/docker-entrypoint-initdb.d/chatctl.sql:ro
    ports: ['127.0.0.1:5432:5432']
    restart: unless-stopped`,
  ].filter(each => each !== false);
  const volumes = postgres ? '\nvolumes:\n  postgres-data:\n' : '';
  return `# What runs beside the chat, for this machine only: docker compose up -d
services:
${services.join('\n')}
${volumes}`;
}

function nextSteps(plan: Plan, dir: string | undefined): string[] {
  const inDocker = plan.database === 'postgres' || plan.centrifugo === 'docker';
  return [
    ...(dir === undefined || dir === '.' ? [] : [commandLine(['cd'], [dir])]),
    ...(inDocker ? ['docker compose up -d'] : []),
    'chatctl dev',
  ];
}

function print(cli: Cli, files: readonly ProjectFile[]): void {
  if (isJson(cli.format)) {
    return cli.line({files: files.map(({path, text}) => ({path, text}))});
  }
  for (const {path, text} of files) cli.io.stdout.write(`# ${path}\n${text}\n`);
}

/** Each by another file and a new name: no half of a file, and a link is replaced and not followed. */
function writeAll(folder: string, files: readonly ProjectFile[]): void {
  for (const {path, text, secret} of files) {
    const full = join(folder, path);
    const temporary = `${full}.${process.pid}.tmp`;
    try {
      makeFolder(dirname(full));
      if (path.startsWith('.chatctl/')) chmodSync(dirname(full), 0o700);
      writeFileSync(temporary, text, {mode: secret ? 0o600 : 0o644, flag: 'wx'});
      renameSync(temporary, full);
    } catch (cause) {
      // It may hold secrets.
      if (existsSync(temporary)) rmSync(temporary);
      throw notWritable(full, cause);
    }
  }
}
