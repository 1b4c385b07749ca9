// Koa with our check of the token and a JSON body in and out, and nothing else: what no server of this kind can pass.
import Koa from 'koa';
import {Router} from '@koa/router';
import bodyParser from 'koa-bodyparser';
import {apiTokenVerifier} from '../../../src/core/api-token.ts';
import {keySource, secretKey} from '../../../src/core/keys.ts';
import {rememberTokens} from '../../../src/core/token-cache.ts';

const keys = keySource([secretKey('JWT_SECRET', process.env['JWT_SECRET'] ?? '')], undefined);
const verify = rememberTokens(apiTokenVerifier({keys, requireExp: true, serviceScope: 'chat:admin'}));
const router = new Router();
router.post('/api/rooms/:room/messages/', async ctx => {
  const token = /^bearer (.+)$/i.exec(ctx.get('Authorization'))?.[1] ?? '';
  const claims = await verify(token, Math.floor(Date.now() / 1_000));
  const {content} = ctx.request.body as {content: string};
  ctx.status = 201;
  ctx.body = {id: 1, content, user: claims.kind === 'user' ? claims.id : null, room: {id: Number(ctx.params['room'])}};
});
const app = new Koa();
app.use(bodyParser({enableTypes: ['json']}));
app.use(router.routes());
const server = app.listen(0, '127.0.0.1', () => process.send?.(server.address()));
process.once('SIGTERM', () => process.exit());
// Nobody is left to use it.
process.once('disconnect', () => process.exit());
