import {createRequire} from 'node:module';

/** The package's version; by the package's own name, because the file lies elsewhere in source and in the build. */
export const version: string = (createRequire(import.meta.url)('chatctl/package.json') as {version: string}).version;
