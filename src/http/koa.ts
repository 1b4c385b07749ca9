// The REST server: middleware in the order in which a request meets it.
import cors from '@koa/cors';
import {Router} from '@koa/router';
import Koa from 'koa';
import helmet from 'koa-helmet';
import {ChatError} from '../core/errors.ts';
import {authenticate} from './auth.ts';
import type {Context, HttpOptions, Middleware, State} from './context.ts';
import {serveDocs} from './docs.ts';
import {problems} from './errors.ts';
import {accessLog} from './log.ts';
import {openApiDocument} from './openapi.ts';
import type {Route} from './route.ts';
import {memberRoutes} from './routes/members.ts';
import {messageRoutes} from './routes/messages.ts';
import {roomRoutes} from './routes/rooms.ts';
import {tokenRoutes} from './routes/tokens.ts';
import {userRoutes} from './routes/users.ts';
import {isSameKey} from './keys.ts';

export const routes: readonly Route[] = [
  ...tokenRoutes,
  ...roomRoutes,
  ...messageRoutes,
  ...memberRoutes,
  ...userRoutes,
];

export function httpApp(options: HttpOptions): Koa<State> {
  const app = new Koa<State>({proxy: options.trustProxy > 0, maxIpsCount: options.trustProxy});
  // What is not told to the caller is logged where it is caught; koa's own lines would repeat it.
  app.silent = true;
  const router = routerOf(options);
  app.use(accessLog(options.log, options.metrics));
  app.use(problems(options.log));
  app.use(helmet());
  app.use(
    cors({origin: ctx => allowedOrigin(ctx.get('Origin'), options.corsOrigins), maxAge: 600, keepHeadersOnError: true}),
  );
  app.use(health(options));
  app.use(router.routes() as unknown as Middleware);
  app.use(otherMethods(router));
  return app;
}

function routerOf(options: HttpOptions): Router<State> {
  const router = new Router<State>();
  for (const route of routes) {
    router[route.method](routerPath(route), async function runRoute(context) {
      const ctx = context as unknown as Context;
      ctx.state.route = route.path;
      const actor = await authenticate(ctx, options);
      ctx.state.actor = actor;
      const {status, body, headers} = await route.run(ctx, options, actor);
      ctx.status = status;
      ctx.set(headers ?? {});
      if (body) ctx.body = body;
    });
  }
  return router;
}

/** `/api/rooms/{room}/` for the router, which takes it with and without the last slash. */
function routerPath({path}: Route): string {
  return path.replace(/\/$/, '').replaceAll(/\{([a-z]+)\}/g, ':$1');
}

/** What needs no token: health, metrics, and the description of the API. */
function health(options: HttpOptions): Middleware {
  const document = () => openApiDocument(routes, options.publicUrl());
  let described: string | undefined;
  return async function serveOpenPaths(ctx, next) {
    const path = ctx.path.replace(/\/$/, '');
    const docs = /^\/api\/docs(?:\/([a-z.-]*))?$/.exec(ctx.path);
    if (path !== '/healthz' && path !== '/readyz' && path !== '/metrics' && path !== '/api/openapi.json' && !docs)
      return next();
    if (ctx.method !== 'GET' && ctx.method !== 'HEAD') throw notAllowed(ctx, ['GET', 'HEAD']);
    if (docs?.[1] === undefined && docs) return ctx.redirect('/api/docs/');
    if (docs) return serveDocs(ctx, docs[1] ?? '');
    if (path === '/healthz') ctx.body = {status: 'ok'};
    else if (path === '/readyz') await serveReadiness(ctx, options);
    else if (path === '/metrics') await serveMetrics(ctx, options);
    else {
      ctx.body = described ??= JSON.stringify(document());
      ctx.type = 'application/json';
    }
  };
}

async function serveReadiness(ctx: Context, options: HttpOptions): Promise<void> {
  const {ok, checks} = await options.ready();
  ctx.status = ok ? 200 : 503;
  ctx.body = {status: ok ? 'ok' : 'unavailable', checks};
}

async function serveMetrics(ctx: Context, {metrics}: HttpOptions): Promise<void> {
  if (!metrics) throw new ChatError('route_not_found', 'There are no metrics here; set METRICS_KEY.');
  if (!isSameKey(ctx.get('Authorization'), `Bearer ${metrics.key}`)) {
    throw new ChatError('unauthenticated', 'The metrics need `Authorization: Bearer <METRICS_KEY>`.');
  }
  ctx.body = await metrics.render();
  ctx.type = metrics.contentType;
}

/** A path that exists, with a method that does not: OPTIONS is answered, others are refused. */
function otherMethods(router: Router<State>): Middleware {
  return async function tellMethods(ctx) {
    const layers = router.match(ctx.path, ctx.method).path;
    if (layers.length === 0) return;
    const methods = [...new Set(layers.flatMap(layer => layer.methods))].toSorted();
    if (ctx.method !== 'OPTIONS') throw notAllowed(ctx, methods);
    ctx.set('Allow', methods.join(', '));
    ctx.status = 204;
  };
}

function notAllowed(ctx: Context, methods: readonly string[]): ChatError {
  ctx.set('Allow', methods.join(', '));
  return new ChatError('method_not_allowed', `${ctx.method} is not possible here, only ${methods.join(', ')}.`);
}

/** The origin itself when it is in the list, so that it is named back, and nothing otherwise. */
function allowedOrigin(origin: string, allowed: readonly string[]): string {
  const anyPort = origin.replace(/:\d+$/, ':*');
  return allowed.includes(origin) || allowed.includes(anyPort) ? origin : '';
}
