// What has the tests of several files share a process.

// Their own time limits hold as long as a process has not more to do than this; ava starts all tests of a process at once.
const atOnce = 12;

let running = 0;
const waiting = [];

/** Runs the test when its turn comes. */
function inTurn(run) {
  return async (...args) => {
    if (running >= atOnce) await new Promise(resolve => waiting.push(resolve));
    else running++;
    try {
      return await run(...args);
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}

/** They act on all files of the process. */
const ofAll = ['only', 'before', 'beforeEach', 'after', 'afterEach'];

/** ava's `test` for one of the files: titles begin with the file's name. */
export function testsOf(name, test) {
  return new Proxy(test, {
    apply(target, self, [first, run, ...args]) {
      const isTest = typeof first === 'string' && typeof run === 'function';
      return Reflect.apply(target, self, isTest ? [`${name} › ${first}`, inTurn(run), ...args] : [first, run, ...args]);
    },
    get(target, key) {
      if (ofAll.includes(key)) {
        throw new Error(
          `test.${String(key)} in ${name} acts on other files too: name the file, or list it in compile-tests.`,
        );
      }
      const value = target[key];
      return typeof value === 'function' ? testsOf(name, value) : value;
    },
  });
}
