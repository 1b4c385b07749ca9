import {writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test from 'ava';
import {bareCli, cliBesideChat, startProcess, testCli, type TestCli} from '../helpers/cli.ts';
import {databases} from '../helpers/database.ts';
import {grandChat} from '../helpers/grandchat.ts';
import {seededCli} from '../helpers/seeded.ts';
import {until} from '../helpers/until.ts';

/** The lines that `--help` shows, command by command. */
async function examples(cli: TestCli): Promise<string[]> {
  const names = (help: string) => [...help.matchAll(/^ {2}([a-z]+)(?: \[| <| {2,})/gm)].map(([, name]) => name ?? '');
  const found: string[] = [];
  for (const noun of names((await cli(['--help'])).stdout)) {
    if (noun === 'help') continue;
    const {stdout} = await cli([noun, '--help']);
    const helps = [stdout];
    if (stdout.includes('\nCommands:')) {
      const verbs = names(stdout.slice(stdout.indexOf('\nCommands:'))).filter(name => name !== 'help');
      for (const verb of verbs) helps.push((await cli([noun, verb, '--help'])).stdout);
    }
    for (const help of helps)
      found.push(...[...help.matchAll(/^ {2}\$ chatctl (.*)$/gm)].map(([, line]) => line ?? ''));
  }
  return found;
}

function words(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
}

/** They start a server, or need one or another database, and have tests below. */
const withServer = /^(import grandchat|dev|serve|listen|smoke|doctor|trace|verify|outbox)\b/;

test('every example in the help of a command for the database works', async t => {
  const lines = (await examples(await bareCli(t, 'sqlite'))).filter(line => !withServer.test(line));
  t.true(lines.length > 20, lines.join('\n'));
  for (const line of lines) {
    const cli = await seededCli(t);
    writeFileSync(join(cli.cwd, 'people.csv'), 'user,username\nerin,Erin\n');
    writeFileSync(join(cli.cwd, 'people.ndjson'), '{"user":"erin"}\n');
    if (line.startsWith('import')) await cli(['export', 'backup.ndjson']);
    if (line.includes('unarchive')) await cli(['room', 'archive', 'general']);
    const {code, stderr} = await cli(words(line));
    t.is(code, 0, `chatctl ${line}: ${stderr}`);
  }
});

test('every example of listen and smoke works beside a server', async t => {
  const {cli, chat} = await cliBesideChat(t);
  cli.env['CHATCTL_API_URL'] = chat.apiUrl;
  const lines = (await examples(cli)).filter(line => /^(listen|smoke)\b/.test(line));
  t.true(lines.length >= 3);
  const room = await chat.room({members: ['alice', 'bob']});
  const post = `#!/bin/sh
curl -s -X POST -H "Authorization: Bearer ${chat.token('alice')}" -H 'Content-Type: application/json' -d '{"content":"hi"}' ${chat.apiUrl}/api/rooms/${room.id}/messages/
`;
  writeFileSync(join(cli.cwd, 'post.sh'), post, {mode: 0o755});
  writeFileSync(join(cli.cwd, 'scenario.json'), '{"steps": [{"request": "GET /readyz", "status": 200}]}');
  cli.env['PATH'] = process.env['PATH'] ?? '';
  for (const line of lines) {
    const {code, stderr} = await cli(words(line));
    t.is(code, 0, `chatctl ${line}: ${stderr}`);
  }
});

test('every example of doctor, trace, verify and outbox works beside a server', async t => {
  const cli = await bareCli(t, 'sqlite');
  cli.env['CENTRIFUGO_API_KEY'] = 'of-the-examples';
  await startProcess(t, cli, ['dev', '--json', '--users', 'alice,bob']).line('"ready"');
  await cli(['message', 'post', 'general', 'first', '--as', 'alice']);
  const waiting = async () => (await cli(['outbox', 'list', '-o', 'id'])).stdout;
  await until(async () => (await waiting()) === '', 'the message to be delivered');
  const lines = (await examples(cli)).filter(line => /^(doctor|trace|verify|outbox)\b/.test(line));
  t.true(lines.length >= 8, lines.join('\n'));
  for (const line of lines) {
    const {code, stdout, stderr} = await cli(words(line));
    t.is(code, 0, `chatctl ${line}: ${stdout}${stderr}`);
  }
});

test('every example of dev and serve starts a server, which ends when it is asked to', async t => {
  const lines = (await examples(await bareCli(t, 'sqlite'))).filter(line => /^(dev|serve)\b/.test(line));
  t.true(lines.length >= 3, lines.join('\n'));
  for (const line of lines) {
    const running = startProcess(t, await bareCli(t, 'sqlite'), words(line));
    await running.line('http');
    running.child.kill('SIGTERM');
    const {code, stderr} = await running.ended;
    t.is(code, 143, `chatctl ${line}: ${stderr}`);
  }
});

const withPostgres = databases.includes('postgres') ? test : test.skip;

withPostgres('every example of import grandchat takes a GrandChat database over', async t => {
  const url = await grandChat(t, 10);
  const lines = (await examples(await bareCli(t, 'sqlite'))).filter(line => line.startsWith('import grandchat'));
  t.true(lines.length >= 2, lines.join('\n'));
  for (const line of lines) {
    const cli = await testCli(t, 'sqlite');
    writeFileSync(join(cli.cwd, 'old-url.txt'), url);
    // The host of the examples is nobody's.
    const {code, stdout, stderr} = await cli(words(line.replace(/postgres:\S+@old-host\S+/, url)));
    t.is(code, 0, `chatctl ${line}: ${stderr}`);
    t.regex(stdout, /^5\t10\t/, 'rooms and users');
  }
});
