// scripts/test.mjs compiles the tests; --enable-source-maps has their stacks name the sources.
export default {
  files: ['test-build/**/*.test.js'],
  nodeArguments: ['--enable-source-maps'],
  workerThreads: false,
  timeout: '2m',
};
