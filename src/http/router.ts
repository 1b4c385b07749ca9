// The table of routes as a router, and what is answered to a method that a path does not have.
import {Router} from '@koa/router';
import type {Actor} from '../core/chat.ts';
import {ChatError} from '../core/errors.ts';
import {authenticate} from './auth.ts';
import type {Context, HttpOptions, Middleware, State} from './context.ts';
import type {OpenRoute, PathParams, Route} from './route.ts';

type AnyRoute = Route | OpenRoute;

/** Runs the route that a request is for; goes on when there is none. */
export function serveRoutes(routes: readonly AnyRoute[], options: HttpOptions): Middleware[] {
  const router = new Router<State>({sensitive: true});
  for (const route of routes) {
    router[route.method](routerPath(route), async function runRoute(ctx) {
      ctx.state.route = route.path;
      await ('serve' in route ? serve(route, ctx, options, ctx.params) : answer(route, ctx, options, ctx.params));
    });
  }
  // The router's type asks for the `params` that it adds itself.
  return [router.routes() as unknown as Middleware, otherMethods(router)];
}

async function serve(route: OpenRoute, ctx: Context, options: HttpOptions, params: PathParams): Promise<void> {
  await options.limits?.admitAnybody(ctx, route);
  await route.serve(ctx, options, params);
}

async function answer(route: Route, ctx: Context, options: HttpOptions, params: PathParams): Promise<void> {
  const actor = await known(ctx, options);
  ctx.state.actor = actor;
  await options.limits?.admit(ctx, route, actor, params);
  // Every answer is one caller's own.
  ctx.set('Cache-Control', 'no-store');
  const {status, body, headers} = await route.run(ctx, options, actor, params);
  ctx.status = status;
  ctx.set(headers ?? {});
  if (body) ctx.body = body;
}

async function known(ctx: Context, options: HttpOptions): Promise<Actor> {
  try {
    return await authenticate(ctx, options);
  } catch (refusal) {
    await options.limits?.refused(ctx, refusal);
    throw refusal;
  }
}

/** `/api/rooms/{room}/` for the router, which takes it with and without the last slash. */
function routerPath({path}: AnyRoute): string {
  return path.replace(/\/$/, '').replaceAll(/\{([a-z]+)\}/g, ':$1');
}

/** A path that exists, with a method that does not: OPTIONS is answered, others are refused. */
function otherMethods(router: Router<State>): Middleware {
  return async function tellMethods(ctx) {
    const layers = router.match(ctx.path, ctx.method).path;
    if (layers.length === 0) throw new ChatError('route_not_found', `There is nothing at ${ctx.path}.`);
    const methods = [...new Set(['OPTIONS', ...layers.flatMap(layer => layer.methods)])].toSorted().join(', ');
    ctx.set('Allow', methods);
    if (ctx.method === 'OPTIONS') ctx.status = 204;
    else throw new ChatError('method_not_allowed', `${ctx.method} is not possible here, only ${methods}.`);
  };
}
