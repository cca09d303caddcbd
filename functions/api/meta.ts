import { serviceVersion } from '../environment.ts';
import { createApiHandler } from '../http/handler.ts';

/** The description changes with a deployment only, so that whoever has just read it need not be sent it again. */
const cacheHeaders = { 'cache-control': 'public, max-age=300' };

export const handler = createApiHandler('meta', {
  'GET /health': async () => ({ status: 200, body: { status: 'ok', version: serviceVersion() } }),

  'GET /openapi.json': async () => {
    const { document } = await getDescription();
    return { status: 200, body: document, headers: cacheHeaders };
  },

  'GET /docs': async () => {
    const { page, pageHeaders } = await getDescription();
    return { status: 200, body: page, headers: { ...pageHeaders, ...cacheHeaders } };
  },
});

let cachedDescription: ReturnType<typeof buildDescription> | undefined;

/** The description, made when somebody first asks for it: the health check is not to wait for it. */
function getDescription(): ReturnType<typeof buildDescription> {
  cachedDescription ??= buildDescription();
  return cachedDescription;
}

async function buildDescription() {
  const [{ openApiDocument }, { docsPage, docsPageHeaders }] = await Promise.all([
    import('../openapi/document.ts'),
    import('../openapi/docs-page.ts'),
  ]);
  const document = openApiDocument();
  return { document, page: docsPage(document), pageHeaders: docsPageHeaders };
}
