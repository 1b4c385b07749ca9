// Worker threads are off because the tsx loader does not reach them on Node 20.
export default {
  files: ['test/**/*.test.ts'],
  extensions: {ts: 'module'},
  nodeArguments: ['--import=tsx'],
  workerThreads: false,
  timeout: '2m',
};
