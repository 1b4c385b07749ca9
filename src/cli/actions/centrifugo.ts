import {writeFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {centrifugoConfig, centrifugoSecrets} from '../../core/centrifugo-config.ts';
import type {Cli} from '../context.ts';
import {notMade} from '../writable.ts';

interface ConfigOptions {
  format: 'json' | 'yaml';
  out?: string;
}

export async function printConfig(cli: Cli, options: ConfigOptions): Promise<void> {
  const config = await cli.config();
  const port = config.CENTRIFUGO_API_URL === undefined ? config.REALTIME_PORT : portOf(config.CENTRIFUGO_API_URL);
  const document = centrifugoConfig({
    port,
    allowedOrigins: config.REALTIME_ORIGINS,
    connectionLimit: config.REALTIME_MAX_CONNECTIONS,
    userConnectionLimit: config.REALTIME_MAX_USER_CONNECTIONS,
  });
  const text = options.format === 'yaml' ? yaml(document) : `${JSON.stringify(document, null, 2)}\n`;
  for (const [theirs, ours] of Object.entries(centrifugoSecrets)) cli.note(`Give Centrifugo ${theirs} = our ${ours}.`);
  if (options.out === undefined || options.out === '-') return void cli.io.stdout.write(text);
  const path = resolve(cli.io.cwd, options.out);
  try {
    writeFileSync(path, text, {flag: 'wx'});
  } catch (cause) {
    throw notMade(path, cause, 'Remove it, or name another with --out.');
  }
  cli.note(`Written to ${path}. Check it with: centrifugo checkconfig --strict -c ${options.out}`);
}

function portOf(url: string): number {
  const {port, protocol} = new URL(url);
  return Number(port) || (protocol === 'https:' ? 443 : 80);
}

/** Objects, lists and scalars as YAML; scalars are written as JSON, which YAML reads. */
function yaml(value: object, indent = ''): string {
  return Object.entries(value)
    .map(([key, each]) => `${indent}${key}:${yamlValue(each, indent)}`)
    .join('');
}

function yamlValue(value: unknown, indent: string): string {
  if (Array.isArray(value)) {
    if (value.length === 0) return ' []\n';
    return `\n${value.map(item => `${indent}  -${yamlItem(item, indent)}`).join('')}`;
  }
  if (typeof value === 'object' && value !== null) return `\n${yaml(value, `${indent}  `)}`;
  return ` ${JSON.stringify(value)}\n`;
}

function yamlItem(item: unknown, indent: string): string {
  if (typeof item !== 'object' || item === null) return ` ${JSON.stringify(item)}\n`;
  return ` ${yaml(item, `${indent}    `).trimStart()}`;
}
