import { serviceVersion } from '../environment.ts';
import { createApiHandler } from '../http/handler.ts';
import { unknownRouteResponse } from '../http/unknown-route.ts';

/** The document changes only with a deployment, so callers can cache it for a short time. */
const cacheHeaders = { 'cache-control': 'public, max-age=300' };

/** Health, the API documentation, and all addresses without a route. */
export const handler = createApiHandler(
  'meta',
  {
    'GET /health': async () => ({ status: 200, body: { status: 'ok', version: serviceVersion() } }),
    'GET /openapi.json': async () => {
      const { document } = await getDocumentation();
      return { status: 200, body: document, headers: cacheHeaders };
    },
    'GET /docs': async () => {
      const { page, pageHeaders } = await getDocumentation();
      return { status: 200, body: page, headers: { ...pageHeaders, ...cacheHeaders } };
    },
  },
  { unmatchedRoute: unknownRouteResponse },
);

let cachedDocumentation: ReturnType<typeof buildDocumentation> | undefined;

/** Returns the document. It is generated at the first request, so that the health check does not wait for it. */
function getDocumentation(): ReturnType<typeof buildDocumentation> {
  cachedDocumentation ??= buildDocumentation();
  return cachedDocumentation;
}

async function buildDocumentation() {
  const [{ openApiDocument }, { docsPage, docsPageHeaders }] = await Promise.all([
    import('../openapi/document.ts'),
    import('../openapi/docs-page.ts'),
  ]);
  const document = openApiDocument();
  return { document, page: docsPage(document), pageHeaders: docsPageHeaders };
}
