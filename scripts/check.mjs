// Everything that must hold before a change lands: npm run check
// Prints, last, how many checks and tests passed and failed.
import {spawn} from 'node:child_process';
import {stripVTControlCharacters} from 'node:util';

const bin = name => [process.execPath, `node_modules/${name}`];

const steps = [
  {name: 'format', command: [...bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.']},
  {name: 'lint', command: [...bin('oxlint/bin/oxlint'), '--type-aware', '--deny-warnings']},
  {name: 'types', command: [...bin('typescript/bin/tsc'), '-p', 'tsconfig.json']},
  {name: 'unused code', command: [...bin('knip/bin/knip.js')]},
  {name: 'build', command: [process.execPath, 'scripts/build.mjs']},
  {name: 'package', command: [process.execPath, 'scripts/package.mjs']},
  {name: 'tests', command: ['npm', 'test'], count: testCounts},
  {name: 'rehearsals', command: ['npm', 'run', '--silent', 'test:rehearsals'], count: testCounts},
];

function run([program, ...args]) {
  return new Promise(resolve => {
    const child = spawn(program, args, {stdio: ['ignore', 'pipe', 'pipe']});
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', chunk => {
        output += chunk;
        process.stdout.write(chunk);
      });
    }
    child.on('exit', code => resolve({ok: code === 0, output}));
  });
}

/** The numbers of ava's last lines: `12 tests passed`, `1 test failed`, `1 uncaught exception`. */
function testCounts(output) {
  const total = pattern =>
    [...stripVTControlCharacters(output).matchAll(pattern)].reduce((sum, [, number]) => sum + Number(number), 0);
  return {
    passed: total(/^\s*(\d+) tests? passed/gm),
    failed: total(/^\s*(\d+) (?:tests? failed|uncaught exceptions?|unhandled rejections?|tests? remained pending)/gm),
  };
}

let passed = 0;
let failed = 0;
for (const {name, command, count} of steps) {
  console.log(`\n--- ${name}`);
  const started = performance.now();
  const {ok, output} = await run(command);
  console.log(`--- ${name}: ${ok ? 'ok' : 'FAILED'} in ${((performance.now() - started) / 1_000).toFixed(1)} s`);
  const counts = count?.(output) ?? {passed: 0, failed: 0};
  passed += counts.passed + (ok ? 1 : 0);
  failed += ok ? counts.failed : Math.max(counts.failed, 1);
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
