import {z} from 'zod';
import {ChatError} from '../../core/errors.ts';
import type {HttpMetrics} from '../context.ts';
import {isSameKey} from '../keys.ts';
import type {OpenRoute} from '../route.ts';
import * as schemas from '../schemas.ts';

export const healthRoutes: OpenRoute[] = [
  {
    method: 'get',
    path: '/healthz',
    summary: 'The process is alive',
    answers: {200: schemas.Health},
    refusals: [],
    unlimited: true,
    serve(ctx) {
      ctx.body = {status: 'ok'};
    },
  },
  {
    method: 'get',
    path: '/readyz',
    summary: 'Fit to serve',
    answers: {200: schemas.Readiness, 503: schemas.Readiness},
    refusals: [],
    unlimited: true,
    async serve(ctx, {ready}) {
      const {ok, checks} = await ready();
      ctx.status = ok ? 200 : 503;
      ctx.body = {status: ok ? 'ok' : 'unavailable', checks};
    },
  },
];

/** Is there only where a key is set, and is no part of the API's description. */
export function metricsRoute(metrics: HttpMetrics): OpenRoute {
  return {
    method: 'get',
    path: '/metrics',
    summary: 'Prometheus metrics',
    answers: {200: z.string()},
    mediaType: 'text/plain',
    refusals: [401],
    unlimited: true,
    async serve(ctx) {
      if (!isSameKey(ctx.get('Authorization'), `Bearer ${metrics.key}`)) {
        throw new ChatError('unauthenticated', 'The metrics need `Authorization: Bearer <METRICS_KEY>`.');
      }
      ctx.body = await metrics.render();
      ctx.type = metrics.contentType;
    },
  };
}
