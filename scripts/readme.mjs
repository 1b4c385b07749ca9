// Writes the tables of commands and settings into README.md from the code: node --import tsx scripts/readme.mjs [--check]
import {readFileSync, writeFileSync} from 'node:fs';
import {format, resolveConfig} from 'prettier';
import {createProgram} from '../src/cli/program.ts';
import {commandTable} from '../src/cli/reference.ts';
import {settings} from '../src/settings.ts';

const cell = text => text.replaceAll('|', '\\|');

function settingsTable() {
  const head = ['| variable | default | meaning |', '|---|---|---|'];
  const rows = Object.entries(settings).map(
    ([name, {fallback, meaning}]) => `| ${name} | ${fallback ? `\`${fallback}\`` : ''} | ${cell(meaning)} |`,
  );
  return [...head, ...rows];
}

function between(text, mark, lines) {
  const start = `<!-- ${mark} -->`;
  const end = `<!-- /${mark} -->`;
  const [before, rest] = text.split(start);
  return `${before}${start}\n\n${lines.join('\n')}\n\n${end}${rest.split(end)[1]}`;
}

const old = readFileSync('README.md', 'utf8');
const filled = between(between(old, 'commands', commandTable(createProgram())), 'settings', settingsTable());
const made = await format(filled, {...(await resolveConfig('README.md')), parser: 'markdown'});
if (!process.argv.includes('--check')) writeFileSync('README.md', made);
else if (made !== old) {
  console.error('README.md is not what the code says; run: npm run readme');
  process.exitCode = 1;
}
