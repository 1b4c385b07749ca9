// What Prometheus and Grafana are told, against what the server really exports.
import {readFileSync} from 'node:fs';
import test, {type ExecutionContext} from 'ava';
import {parse} from 'yaml';
import {centrifugoConfig} from '../../src/core/centrifugo-config.ts';
import {centrifugoProgram, startCentrifugo} from '../helpers/centrifugo.ts';
import {request, startTestServer} from '../helpers/server.ts';

interface Panel {
  title: string;
  datasource: {uid: string};
  targets: {expr: string}[];
}

const dashboard = JSON.parse(readFileSync('deploy/grafana/dashboards/chatctl.json', 'utf8')) as {panels: Panel[]};
const queries = dashboard.panels.flatMap(panel => panel.targets.map(target => target.expr));

/** The names of a query that are no functions, labels or words of the language. */
function metricsOf(query: string): string[] {
  const bare = query.replaceAll(/\{[^}]*\}|"[^"]*"|\b(?:by|without) \([^)]*\)|\[[^\]]*\]/g, ' ');
  return [...bare.matchAll(/\b([a-z_][a-z0-9_]+)\b(?!\s*\()/g)].flatMap(([, name]) => (name ? [name] : []));
}

const asked = [...new Set(queries.flatMap(metricsOf))].filter(name => !['up', 'by', 'sum', 'max'].includes(name));

function exported(text: string): Set<string> {
  return new Set([...text.matchAll(/^([a-z_][a-z0-9_]*)[{ ]/gm)].flatMap(([, name]) => (name ? [name] : [])));
}

async function mustExport(t: ExecutionContext, text: string, prefix: RegExp): Promise<void> {
  const names = exported(text);
  const wanted = asked.filter(name => prefix.test(name));
  t.true(wanted.length > 0);
  t.deepEqual(
    wanted.filter(name => !names.has(name)),
    [],
  );
}

test('the dashboard asks for what operators watch', t => {
  for (const name of [
    'chatctl_outbox_events',
    'chatctl_outbox_oldest_seconds',
    'chatctl_outbox_parked_events',
    'chatctl_relay_published_total',
    'chatctl_relay_repeated_total',
    'chatctl_relay_parked_total',
    'chatctl_delivery_seconds_bucket',
    'chatctl_http_request_seconds_bucket',
  ]) {
    t.true(asked.includes(name), name);
  }
});

test('the dashboard asks for nothing that the server does not export', async t => {
  const server = await startTestServer(t, 'sqlite', {METRICS_KEY: 'a-key'});
  await request(server, 'nobody', 'GET', '/healthz');
  const {status, text} = await request(server, 'a-key', 'GET', '/metrics');
  t.is(status, 200);
  await mustExport(t, text, /^(?!centrifugo_)/);
  // prom-client counts these by walking through all connections, which holds everybody up at each look.
  t.notRegex(text, /^(?:nodejs_active_|process_open_fds)/m);
});

const withCentrifugo = centrifugoProgram === undefined ? test.skip : test;
if (centrifugoProgram === undefined) {
  test('the dashboard is NOT held against a real Centrifugo here', t => {
    t.log('!!! Set CENTRIFUGO_BIN, or put `centrifugo` on PATH, to run this test.');
    t.pass();
  });
}

withCentrifugo('the dashboard asks for nothing that Centrifugo does not export', async t => {
  const {url} = await startCentrifugo(t, centrifugoConfig({port: 8_000, allowedOrigins: []}), {
    CENTRIFUGO_CLIENT_TOKEN_HMAC_SECRET_KEY: 'a-secret',
    CENTRIFUGO_HTTP_API_KEY: 'a-key',
  });
  await mustExport(t, await (await fetch(`${url}/metrics`)).text(), /^centrifugo_/);
});

test('panels ask the source that is provisioned, of jobs that are scraped', t => {
  const source = parse(readFileSync('deploy/grafana/provisioning/datasources/prometheus.yml', 'utf8')) as {
    datasources: {uid: string; url: string}[];
  };
  const scraped = parse(readFileSync('deploy/prometheus.yml', 'utf8')) as {scrape_configs: {job_name: string}[]};
  const jobs = scraped.scrape_configs.map(each => each.job_name);
  t.deepEqual([...new Set(dashboard.panels.map(panel => panel.datasource.uid))], [source.datasources[0]?.uid ?? '']);
  for (const query of queries) {
    const job = /job="(\w+)"/.exec(query)?.[1] ?? '';
    t.true(jobs.includes(job), query);
  }
});
