// The documentation page: Swagger UI from files that the build copies, or from the package in a checkout. No script is
// inline, so that the content security policy holds.
import {existsSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {ChatError} from '../core/errors.ts';
import type {Context} from './context.ts';

const types: Record<string, string> = {'.js': 'text/javascript', '.css': 'text/css', '.html': 'text/html'};

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>chatctl API</title>
<link rel="stylesheet" href="swagger-ui.css">
<div id="api"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</html>
`;
const start = `SwaggerUIBundle({url: '/api/openapi.json', dom_id: '#api', deepLinking: true});
`;

const made: Record<string, string> = {'': page, 'start.js': start};
const copied = ['swagger-ui-bundle.js', 'swagger-ui.css'];

/** Answers a file of the page. `name` is what follows `/api/docs/`. */
export function serveDocs(ctx: Context, name: string): void {
  const text = made[name];
  if (text === undefined && !copied.includes(name))
    throw new ChatError('route_not_found', `There is nothing at ${ctx.path}.`);
  ctx.body = text ?? readFileSync(assetPath(name));
  ctx.type = types[/\.[a-z]+$/.exec(name)?.[0] ?? '.html'] ?? 'text/html';
}

function assetPath(name: string): string {
  const built = fileURLToPath(new URL(`../../public/${name}`, import.meta.url));
  if (existsSync(built)) return built;
  try {
    return join(dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json')), name);
  } catch (cause) {
    throw new ChatError(
      'route_not_found',
      'The files of the documentation page are not installed; /api/openapi.json has it all.',
      {cause},
    );
  }
}
