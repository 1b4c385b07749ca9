// The REST server: middleware in the order in which a request meets it.
import type {RequestListener} from 'node:http';
import Koa from 'koa';
import type {HttpOptions, State} from './context.ts';
import {entrance} from './entrance.ts';
import {problems} from './errors.ts';
import {browserRules, mustBeUnambiguous, originRules} from './headers.ts';
import {accessLog} from './log.ts';
import {openApiDocument} from './openapi.ts';
import {shedLoad} from './overload.ts';
import {refuseAgain} from './refused.ts';
import type {OpenRoute, Route} from './route.ts';
import {serveRoutes} from './router.ts';
import {auditRoutes} from './routes/audit.ts';
import {docsRoutes} from './routes/docs.ts';
import {healthRoutes, metricsRoute} from './routes/health.ts';
import {memberRoutes} from './routes/members.ts';
import {messageRoutes} from './routes/messages.ts';
import {roomRoutes} from './routes/rooms.ts';
import {tokenRoutes} from './routes/tokens.ts';
import {userRoutes} from './routes/users.ts';
import {cutUnread} from './unread.ts';

/** What needs a token. */
export const routes: readonly Route[] = [
  ...tokenRoutes,
  ...roomRoutes,
  ...messageRoutes,
  ...memberRoutes,
  ...userRoutes,
  ...auditRoutes,
];

/** What needs none. */
export const openRoutes: readonly OpenRoute[] = [
  ...healthRoutes,
  ...docsRoutes(base => openApiDocument([...routes, ...openRoutes], base)),
];

export function httpApp(options: HttpOptions): RequestListener {
  const {log, metrics, corsOrigins, trustProxy, maxInFlight} = options;
  const app = new Koa<State>({proxy: trustProxy > 0, maxIpsCount: trustProxy});
  // What happens below `problems` is told there. What reaches koa is a connection that broke.
  app.on('error', (error: unknown) => log.debug({err: error}, 'connection failed'));
  app.use(cutUnread(log, options.unread));
  const {refuses, remember} = refuseAgain(metrics, trustProxy);
  app.use(remember);
  app.use(accessLog(log, metrics));
  app.use(problems(log));
  app.use(browserRules());
  app.use(originRules(corsOrigins));
  app.use(mustBeUnambiguous);
  app.use(shedLoad(maxInFlight));
  const table = metrics ? [...routes, ...openRoutes, metricsRoute(metrics)] : [...routes, ...openRoutes];
  for (const middleware of serveRoutes(table, options)) app.use(middleware);
  const answer = app.callback();
  const begin: RequestListener = (request, response) => {
    if (!refuses(request, response)) void answer(request, response);
  };
  const enter = entrance(begin);
  return (request, response) => {
    // Asked again when its turn comes: what was let through before it may have been the last that its caller may ask.
    if (!refuses(request, response)) enter(request, response);
  };
}
