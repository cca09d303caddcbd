import type middy from '@middy/core';
import httpHeaderNormalizer from '@middy/http-header-normalizer';
import httpSecurityHeaders from '@middy/http-security-headers';
import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { ContentionError } from '../../store/dynamodb/table.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { problemType } from './problems.ts';
import type { HtmlPage, RawResponse } from './response.ts';

type HttpMiddleware = middy.MiddlewareObj<APIGatewayProxyEventV2, RawResponse>;

/** Returns the page for a fault, or undefined for a caller that asks for JSON. */
export type FaultPage = (accept: string, requestId: string) => HtmlPage | undefined;

/** Returns a middleware that makes the names of the request’s headers lower-case. */
export function lowerCaseHeaders(): HttpMiddleware {
  return httpHeaderNormalizer() as HttpMiddleware;
}

/** Returns a middleware that logs each response, and counts refusals by their code. */
export function requestLog(): HttpMiddleware {
  const log: middy.MiddlewareFn<APIGatewayProxyEventV2, RawResponse> = ({ event, response }) => {
    if (response === null || response === undefined) return;
    const { statusCode: status, logFields } = response;
    const { requestId } = event.requestContext;
    logger.info('request completed', { requestId, route: event.routeKey, status, ...logFields });
    if (logFields.code !== undefined && status < 500) countFunctionMetric({ refusals: 1 }, { code: logFields.code });
  };
  return { after: log, onError: log };
}

/** Returns a middleware that drops the body of the response to a HEAD request. */
export function omitHeadBody(): HttpMiddleware {
  const omit: middy.MiddlewareFn<APIGatewayProxyEventV2, RawResponse> = (request) => {
    const { response, event } = request;
    if (response === null || response === undefined || event.requestContext.http.method !== 'HEAD') return;
    request.response = { ...response, body: '' };
  };
  return { after: omit, onError: omit };
}

/** Returns a middleware that adds the headers of every response: never cached, and with the ID of the request. */
export function responseHeaders(): HttpMiddleware {
  const add: middy.MiddlewareFn<APIGatewayProxyEventV2, RawResponse> = (request) => {
    const { response, event } = request;
    if (response === null || response === undefined) return;
    const headers = {
      'cache-control': 'no-store',
      ...response.headers,
      'x-request-id': event.requestContext.requestId,
    };
    request.response = { ...response, headers };
  };
  return { after: add, onError: add };
}

/**
 * Returns a middleware that adds the security headers that every response needs. Pages add their own policy for content,
 * frames, and referrers, so the defaults for these are off.
 */
export function securityHeaders(): HttpMiddleware {
  return httpSecurityHeaders({
    contentTypeOptions: { action: 'nosniff' },
    strictTransportSecurity: { maxAge: 63_072_000, includeSubDomains: false, preload: false },
    contentSecurityPolicy: false,
    crossOriginEmbedderPolicy: false,
    crossOriginOpenerPolicy: false,
    crossOriginResourcePolicy: false,
    dnsPrefetchControl: false,
    downloadOptions: false,
    frameOptions: false,
    originAgentCluster: false,
    permissionsPolicy: false,
    permittedCrossDomainPolicies: false,
    poweredBy: false,
    referrerPolicy: false,
    reportTo: false,
    reportingEndpoints: false,
    xssProtection: false,
  }) as HttpMiddleware;
}

/**
 * Returns a middleware that answers an error. Contention is 503 with `Retry-After`, because the caller can retry. Any
 * other error is a fault: logged with its cause, and answered with 500 without details.
 */
export function faultResponse(faultPage?: FaultPage): HttpMiddleware {
  return {
    onError: (request) => {
      const { error, event } = request;
      const { requestId } = event.requestContext;
      const isBusy = error instanceof ContentionError;
      if (isBusy) logger.warn('contention', { requestId, route: event.routeKey, error: error.message });
      else logger.error('fault', { requestId, route: event.routeKey, error: error as Error });
      countFunctionMetric(isBusy ? { contentions: 1 } : { faults: 1 });
      const problem = isBusy ? busyProblem : faultProblem(requestId);
      const retry = isBusy ? { 'retry-after': '2' } : {};
      const page = faultPage?.(event.headers.accept ?? '', requestId);
      request.response = {
        statusCode: problem.status,
        headers: { ...(page?.headers ?? { 'content-type': problemType }), ...retry },
        body: page?.html ?? JSON.stringify(problem),
        logFields: { code: problem.code },
      };
    },
  };
}

const busyProblem = {
  type: 'urn:volume-activation:problem:busy',
  title: 'Too busy',
  status: 503,
  code: 'busy',
  detail:
    'Many other requests change the same thing at this moment. Try again in a few seconds. With an Idempotency-Key, the request takes effect once.',
} as const;

function faultProblem(requestId: string) {
  return {
    type: 'urn:volume-activation:problem:fault',
    title: 'Internal error',
    status: 500,
    code: 'fault',
    detail: `The service failed, and the operators are notified. Try again later. If the error persists, report the request ID ${requestId}.`,
  } as const;
}
