// The documentation page: Swagger UI from files that the build copies, or from the package in a checkout. No script is
// inline, so that the content security policy holds, and every address is relative, so that a prefix in front does no
// harm.
import {createHash} from 'node:crypto';
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {ChatError} from '../core/errors.ts';
import type {Context} from './context.ts';

const page = (here: string) => `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>chatctl API</title>
<link rel="stylesheet" href="${here}swagger-ui.css">
<div id="api"></div>
<script src="${here}swagger-ui-bundle.js"></script>
<script src="${here}start.js"></script>
</html>
`;
const start = `const url = new URL('../openapi.json', document.currentScript.src).href;
SwaggerUIBundle({url, dom_id: '#api', deepLinking: true});
`;

const copied = ['swagger-ui-bundle.js', 'swagger-ui.css'];
const types: Record<string, string> = {js: 'text/javascript', css: 'text/css'};
const maxAgeSeconds = 3_600;

/** Answers the page, or with a name one of its files. Throws route_not_found, saying so when they are not installed. */
export function serveDocs(ctx: Context, name: string): void {
  if (name === '') {
    // A page that is blank for want of its script would not say why.
    for (const each of copied) asset(each);
    ctx.body = page(ctx.path.endsWith('/') ? '' : 'docs/');
    ctx.type = 'text/html';
    return;
  }
  if (name !== 'start.js' && !copied.includes(name))
    throw new ChatError('route_not_found', `There is nothing at ${ctx.path}.`);
  const {bytes, etag} = asset(name);
  ctx.set('ETag', etag);
  ctx.set('Cache-Control', `public, max-age=${maxAgeSeconds}`);
  ctx.status = 200;
  if (ctx.fresh) {
    ctx.status = 304;
    return;
  }
  ctx.body = bytes;
  ctx.type = types[name.split('.').at(-1) ?? ''] ?? 'text/plain';
}

interface Asset {
  bytes: Buffer;
  etag: string;
}

const assets = new Map<string, Asset>();

/** Three small files, read once. */
function asset(name: string): Asset {
  const bytes = assets.get(name)?.bytes ?? (name === 'start.js' ? Buffer.from(start) : readAsset(name));
  const made = assets.get(name) ?? {bytes, etag: `"${createHash('sha256').update(bytes).digest('base64url')}"`};
  assets.set(name, made);
  return made;
}

function readAsset(name: string): Buffer {
  const built = fileURLToPath(new URL(`../../public/${name}`, import.meta.url));
  const packaged = () => join(dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json')), name);
  for (const path of [() => built, packaged]) {
    try {
      return readFileSync(path());
    } catch {
      // Tried at the next place.
    }
  }
  throw new ChatError(
    'route_not_found',
    'The files of the documentation page are not installed; /api/openapi.json has all that it shows.',
  );
}
