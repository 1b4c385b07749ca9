// T45. The compose file as far as it can be checked without an engine, and the files that it mounts.
import {execFile} from 'node:child_process';
import {existsSync, readFileSync} from 'node:fs';
import {join} from 'node:path';
import {promisify} from 'node:util';
import test from 'ava';
import {parse} from 'yaml';
import {settingNames} from '../../src/settings.ts';
import {bareCli} from '../helpers/cli.ts';
import {startTestServer} from '../helpers/server.ts';

const run = promisify(execFile);

interface Service {
  image: string;
  build?: string;
  user?: string;
  init?: boolean;
  read_only?: boolean;
  restart?: string;
  network_mode?: string;
  cap_drop?: string[];
  security_opt?: string[];
  group_add?: string[];
  profiles?: string[];
  command?: string[];
  environment?: Record<string, string>;
  volumes?: string[];
  networks?: string[];
  ports?: string[];
  healthcheck?: {test?: string[]; disable?: boolean};
  depends_on?: Record<string, {condition: string}>;
}

const text = readFileSync('docker-compose.yml', 'utf8');
const compose = parse(text, {merge: true}) as {
  services: Record<string, Service>;
  networks: Record<string, {internal?: boolean} | null>;
  volumes: Record<string, null>;
};
const dockerfile = readFileSync('Dockerfile', 'utf8');
const services = Object.entries(compose.services);

function service(name: string): Service {
  const found = compose.services[name];
  if (!found) throw new Error(`there is no service ${name}`);
  return found;
}

test('a bare start has everything, and the profile adds what observes it', t => {
  const named = (profile: boolean) => services.filter(([, each]) => (each.profiles !== undefined) === profile);
  t.deepEqual(
    named(false).map(([name]) => name),
    ['init', 'postgres', 'redis', 'centrifugo', 'migrate', 'backend'],
  );
  t.deepEqual(
    named(true).map(([name, {profiles}]) => [name, profiles]),
    [
      ['prometheus', ['observability']],
      ['grafana', ['observability']],
    ],
  );
});

/** Their images have a user of their own; those of the databases begin as root. */
const startsUnprivileged = new Set(['centrifugo', 'prometheus', 'grafana']);

for (const [name, each] of services) {
  const isStep = each.restart === 'no';
  const isOurs = each.build !== undefined;

  test(`${name} runs once, or has a healthcheck and starts again`, t => {
    if (isStep) return void t.true(each.healthcheck?.disable);
    t.is(each.restart, 'unless-stopped');
    t.true(each.healthcheck?.test !== undefined || (isOurs && /^HEALTHCHECK /m.test(dockerfile)));
  });

  test(`${name} is an image of one version`, t => {
    t.regex(each.image, isOurs ? /^chatctl:local$/ : /^[a-z/]+:v?\d+\.\d+(\.\d+)?(-[a-z0-9.]+)?$/);
  });

  test(`${name} has no capabilities, gains none and is no root`, t => {
    t.deepEqual(each.cap_drop, ['ALL']);
    t.deepEqual(each.security_opt, ['no-new-privileges:true']);
    if (isOurs) t.regex(dockerfile, /^USER node$/m);
    else t.true(each.user === name || startsUnprivileged.has(name));
  });

  test(`${name} waits only for what ends or can be healthy`, t => {
    const waits = Object.entries(each.depends_on ?? {}).map(([other, {condition}]) => [other, condition]);
    const ends = (other: string) => service(other).restart === 'no';
    t.deepEqual(
      waits,
      waits.map(([other = '']) => [other, ends(other) ? 'service_completed_successfully' : 'service_healthy']),
    );
  });

  test(`${name} uses networks, volumes and files that are there`, t => {
    for (const network of each.networks ?? []) t.true(network in compose.networks, network);
    for (const [source = ''] of (each.volumes ?? []).map(volume => volume.split(':'))) {
      t.true(source.startsWith('./') ? existsSync(source) : source in compose.volumes, source);
    }
  });
}

test('every variable that chatctl is given is one that it knows', t => {
  const known = new Set([...settingNames.flatMap(name => [name, `${name}_FILE`]), 'CHATCTL_REALTIME_URL']);
  const given = ['init', 'migrate', 'backend'].flatMap(name => Object.keys(service(name).environment ?? {}));
  t.true(given.includes('DATABASE_URL_FILE'));
  t.deepEqual(
    given.filter(name => !known.has(name)),
    [],
  );
});

test('what may be set from outside is a setting, and needs no value', t => {
  const asked = [...text.matchAll(/\$\{(\w+)(:-)?/g)];
  t.true(asked.length > 5);
  for (const [, name = '', fallback] of asked) {
    t.true((settingNames as string[]).includes(name), name);
    t.is(fallback, ':-', name);
  }
});

test('the ports are 9000 and 8000; what observes is for this machine only', t => {
  const published = services.flatMap(([name, {ports = []}]) => ports.map(port => [name, port]));
  t.deepEqual(published, [
    ['centrifugo', '8000:8000'],
    ['backend', '9000:9000'],
    ['prometheus', '127.0.0.1:9090:9090'],
    ['grafana', '127.0.0.1:3000:3000'],
  ]);
  t.regex(dockerfile, /^EXPOSE 9000/m);
});

test('databases are in networks without a way out, each with those alone that need it', t => {
  const inside = (network: string) => services.filter(([, each]) => each.networks?.includes(network)).map(([n]) => n);
  t.true(compose.networks['database']?.internal);
  t.true(compose.networks['streams']?.internal);
  t.deepEqual(inside('database'), ['postgres', 'migrate', 'backend']);
  t.deepEqual(inside('streams'), ['redis', 'centrifugo']);
  t.is(service('init').network_mode, 'none');
});

test('every service gets its own secrets and nobody else’s, and reads only', t => {
  const made = (service('init').volumes ?? []).map(volume => volume.split(':')[0] ?? '');
  const readers = (volume: string) =>
    services.filter(([name, each]) => name !== 'init' && each.volumes?.some(one => one.startsWith(`${volume}:`)));
  t.deepEqual(Object.fromEntries(made.map(volume => [volume, readers(volume).map(([name]) => name)])), {
    'chatctl-secrets': ['migrate', 'backend'],
    'centrifugo-config': ['centrifugo'],
    'postgres-secrets': ['postgres'],
    'prometheus-secrets': ['prometheus'],
    'grafana-secrets': ['grafana'],
  });
  for (const volume of made) {
    for (const [name, each] of readers(volume)) {
      t.regex(each.volumes?.find(one => one.startsWith(volume)) ?? '', /:ro$/, name);
      t.true(each.build !== undefined || each.group_add?.includes('1000'), name);
    }
  }
});

test('a new database is made by one script, here and in the compose file of chatctl init, and its superuser is none of ours', async t => {
  const cli = await bareCli(t, 'sqlite');
  t.is((await cli(['init', '--db', 'postgres'], {env: {DATABASE_URL: ''}})).code, 0);
  const read = (path: string) => readFileSync(join(cli.cwd, path), 'utf8');
  const made = parse(read('compose.yaml')) as {services: Record<string, Service>};
  const mountedAt = '/docker-entrypoint-initdb.d/chatctl.sql:ro';
  t.true(service('postgres').volumes?.includes(`./deploy/postgres.sql:${mountedAt}`));
  t.true(made.services['postgres']?.volumes?.includes(`./postgres.sql:${mountedAt}`));
  t.is(made.services['postgres']?.image, service('postgres').image);
  t.is(read('postgres.sql'), readFileSync('deploy/postgres.sql', 'utf8'));
  t.false('POSTGRES_USER' in (service('postgres').environment ?? {}));
});

test('the server’s own containers are read-only, and end when asked', t => {
  for (const name of ['init', 'migrate', 'backend']) {
    t.true(service(name).read_only, name);
    t.true(service(name).init, name);
  }
});

test('the image: Node 24, two stages before it, no root, a healthcheck, chatctl on PATH', t => {
  const stages = [...dockerfile.matchAll(/^FROM (\S+)( AS \w+)?$/gm)].map(([, image]) => image);
  t.deepEqual(stages, ['node:24-bookworm', 'node:24-bookworm', 'node:24-bookworm-slim']);
  const last = dockerfile.slice(dockerfile.lastIndexOf('FROM '));
  t.regex(last, /^ENV NODE_ENV=production HOST=0\.0\.0\.0$/m);
  t.regex(last, /^USER node$/m);
  t.regex(last, /^HEALTHCHECK [^\n]*\\\n\s+CMD \["node"/m);
  t.regex(last, /ln -s \/app\/dist\/bin\/chatctl\.js \/usr\/local\/bin\/chatctl/);
  t.notRegex(last, /npm |apt-get/);
});

test('the healthcheck finds a server that answers, and none that does not', async t => {
  const [, line = '[]'] = /^HEALTHCHECK [^\n]*\n\s+CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  const [, ...args] = JSON.parse(line) as string[];
  const check = (port: string) => run(process.execPath, args, {env: {PORT: port}});
  const server = await startTestServer(t, 'sqlite');
  const {port} = new URL(server.apiUrl);
  await t.notThrowsAsync(check(port));
  await server.close();
  await t.throwsAsync(check(port));
});

test('the build gets what it needs and nothing else', t => {
  const lines = readFileSync('.dockerignore', 'utf8').split('\n');
  const taken = lines.filter(line => line.startsWith('!')).map(line => line.slice(1));
  t.true(lines.includes('*'));
  t.deepEqual(
    taken.filter(path => !existsSync(path)),
    [],
  );
  const {include} = JSON.parse(readFileSync('tsconfig.build.json', 'utf8')) as {include: string[]};
  for (const path of [...include, 'scripts', 'package.json', 'package-lock.json']) t.true(taken.includes(path), path);
});
