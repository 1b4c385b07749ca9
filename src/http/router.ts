// The table of routes as a router, and what is answered to a method that a path does not have.
import {Router} from '@koa/router';
import type {Actor} from '../core/chat.ts';
import {ChatError} from '../core/errors.ts';
import type {ApiClaims} from '../core/token-claims.ts';
import {provisionUser} from '../core/users.ts';
import {authenticate} from './auth.ts';
import type {Context, HttpOptions, Middleware, State} from './context.ts';
import type {OpenRoute, PathParams, Route} from './route.ts';
import {createTurns, hungUp, type Turns} from './turns.ts';

type AnyRoute = Route | OpenRoute;

/** What nobody reads any more; for log and metrics the status that proxies give it. */
const clientGone = 499;
const turnLimits = {
  /** As many as are read together: with twice as many who asks now and then waited half a second at times beside a flood. */
  reads: {atOnce: 8, longMs: 1_000},
  /** As many as are well written together: what holds back posts makes their transactions small. They may wait for a lock. */
  changes: {atOnce: 64, longMs: 250},
};

/** Runs the route that a request is for; goes on when there is none. */
export function serveRoutes(routes: readonly AnyRoute[], options: HttpOptions): Middleware[] {
  const router = new Router<State>({sensitive: true});
  const waitingOfOne = Math.ceil(options.maxInFlight / 2);
  const reads = createTurns({...turnLimits.reads, ...options.turns, waitingOfOne});
  const changes = createTurns({...turnLimits.changes, ...options.turns, waitingOfOne});
  for (const route of routes) {
    router[route.method](routerPath(route), async function runRoute(ctx) {
      ctx.state.route = route.path;
      if ('serve' in route) return serve(route, ctx, options, ctx.params);
      return answer(route, ctx, options, ctx.params, route.method === 'get' ? reads : changes);
    });
  }
  // The router's type asks for the `params` that it adds itself.
  return [router.routes() as unknown as Middleware, otherMethods(router)];
}

async function serve(route: OpenRoute, ctx: Context, options: HttpOptions, params: PathParams): Promise<void> {
  await options.limits?.admitAnybody(ctx, route);
  await route.serve(ctx, options, params);
}

async function answer(
  route: Route,
  ctx: Context,
  options: HttpOptions,
  params: PathParams,
  turns: Turns,
): Promise<void> {
  const claims = await claimsOf(ctx, options);
  const actor = actorOf(claims);
  ctx.state.actor = actor;
  await options.limits?.admit(ctx, route, actor, params);
  // Every answer is one caller's own.
  ctx.set('Cache-Control', 'no-store');
  // A user who is new here gets a row, and one who is deactivated is refused.
  const provision = async () => {
    if (claims.kind === 'user') await provisionUser(options.chat, claims.id, claims.username);
  };
  let end = () => {};
  try {
    const {status, body, headers} = await route.run(ctx, options, actor, params, async () => {
      // Those who come together are looked up together, which needs no turn.
      if (!route.findsCaller) await provision();
      end = await turns.begin(actor.kind === 'user' ? `user ${actor.id}` : `service ${actor.name}`, ctx.res);
    });
    ctx.status = status;
    ctx.set(headers ?? {});
    if (body) ctx.body = body;
  } catch (cause) {
    if (route.findsCaller && cause instanceof ChatError && cause.kind === 'not_found') await provision();
    if (cause !== hungUp) throw cause;
    ctx.status = clientGone;
  } finally {
    end();
  }
}

async function claimsOf(ctx: Context, options: HttpOptions): Promise<ApiClaims> {
  try {
    return await authenticate(ctx, options);
  } catch (refusal) {
    await options.limits?.refused(ctx, refusal);
    throw refusal;
  }
}

function actorOf(claims: ApiClaims): Actor {
  return claims.kind === 'user' ? {kind: 'user', id: claims.id} : {kind: 'service', name: claims.name};
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
