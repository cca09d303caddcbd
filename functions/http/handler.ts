import middy from '@middy/core';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import type { ApiName, Audience, Route, RouteOf } from '../manifest.ts';
import { manifest } from '../manifest.ts';
import { logContext } from '../runtime/log-middleware.ts';
import { runOnce } from './idempotent.ts';
import type { FaultPage } from './middlewares.ts';
import {
  faultResponse,
  lowerCaseHeaders,
  omitHeadBody,
  requestLog,
  responseHeaders,
  securityHeaders,
} from './middlewares.ts';
import type { ApiRequest, ParsedRequest } from './parse-request.ts';
import { parseRequest, withContext } from './parse-request.ts';
import type { HttpResponse, RawResponse, RefusalResponse } from './response.ts';
import { notFound, toRawRefusal, toRawResponse } from './response.ts';

export type Handler<R extends Route> = (apiRequest: ApiRequest<R>) => Promise<HttpResponse | RefusalResponse>;

export type HandlerOptions = {
  /** The page for a fault, for browsers. */
  readonly faultPage?: FaultPage;
  /** The response to an address without a route, for the entry that gets all of them. */
  readonly unmatchedRoute?: (event: APIGatewayProxyEventV2) => RefusalResponse;
};

/**
 * Creates the Lambda of an API entry from its routes. Middlewares own logging, faults, headers, and metrics. Parsing,
 * authorization, and idempotency are typed functions, so that the type of a handler follows from its route.
 */
export function createApiHandler<Name extends ApiName>(
  name: Name,
  routes: { readonly [R in RouteOf<Name>]: Handler<R & Route> },
  { faultPage, unmatchedRoute }: HandlerOptions = {},
) {
  const audiences: Readonly<Record<string, readonly Audience[]>> = manifest[name].routes;
  const handlers: Readonly<Record<string, Handler<Route>>> = routes as never;
  return middy<APIGatewayProxyEventV2, RawResponse>()
    .use(logContext())
    .use(lowerCaseHeaders())
    .use(requestLog())
    .use(omitHeadBody())
    .use(securityHeaders())
    .use(responseHeaders())
    .use(faultResponse(faultPage))
    .handler(async (event) => {
      // HEAD answers like GET; `omitHeadBody` drops the body.
      const route = event.routeKey.replace(/^HEAD /, 'GET ') as Route;
      const [audience, handler] = [audiences[route], handlers[route]];
      if (audience === undefined || handler === undefined) {
        return toRawRefusal(unmatchedRoute?.(event) ?? notFound('address'));
      }
      const parsed = parseRequest(event, route, audience);
      if (!parsed.ok) return toRawRefusal(parsed);
      const run = async (request: ParsedRequest) =>
        toRawResponse(await handler(withContext(request)), request.caller.email);
      const { apiRequest, idempotencyKey } = parsed;
      return idempotencyKey === undefined ? run(apiRequest) : runOnce(event, apiRequest, idempotencyKey, run);
    });
}
