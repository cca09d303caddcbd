import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { refuse } from '../../domain/refusal.ts';
import { allRoutes } from '../manifest.ts';
import { approvalPageHeaders, unknownAddressPage } from './approval-page.ts';
import type { RefusalResponse } from './response.ts';

/**
 * Returns the response to an address without a route: 405 with `Allow` if other methods have one, else 404. A browser gets
 * a page.
 */
export function unknownRouteResponse(event: APIGatewayProxyEventV2): RefusalResponse {
  const { method, path } = event.requestContext.http;
  const methods = methodsAt(event.rawPath ?? path);
  const wantsPage = (event.headers.accept ?? '').includes('text/html');
  const page = wantsPage ? { page: { html: unknownAddressPage().html, headers: approvalPageHeaders } } : {};
  // The gateway also sends a path here that fits a route but is not valid percent-encoding.
  if (methods.length === 0 || methods.includes(method)) {
    return { ...refuse('not-found', 'This address does not exist. See /docs for all routes.'), ...page };
  }
  const detail = `${method} is not possible at this address. Use ${methods.join(' or ')}.`;
  return { ...refuse('method-not-allowed', detail), headers: { allow: methods.join(', ') }, ...page };
}

/** Returns the methods of the routes at a path. */
function methodsAt(path: string): readonly string[] {
  const methods = allRoutes().flatMap(({ route }) => {
    const [method = '', template = ''] = route.split(' ');
    const pattern = new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`);
    if (!pattern.test(path)) return [];
    return method === 'GET' ? ['GET', 'HEAD'] : [method];
  });
  return [...new Set(methods)].toSorted();
}
