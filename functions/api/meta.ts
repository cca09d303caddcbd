import { serviceVersion } from '../environment.ts';
import { http } from '../http/handler.ts';

/** The description changes with a deployment only, so that whoever has just read it need not be sent it again. */
const goodForAWhile = { 'cache-control': 'public, max-age=300' };

export const handler = http('about', {
  'GET /health': async () => ({ status: 200, body: { status: 'ok', version: serviceVersion() } }),

  'GET /openapi.json': async () => {
    const { document } = await theDescription();
    return { status: 200, body: document, headers: goodForAWhile };
  },

  'GET /docs': async () => {
    const { page, pageHeaders } = await theDescription();
    return { status: 200, body: page, headers: { ...pageHeaders, ...goodForAWhile } };
  },
});

let made: ReturnType<typeof makeDescription> | undefined;

/** The description, made when somebody first asks for it: the health check is not to wait for it. */
function theDescription(): ReturnType<typeof makeDescription> {
  made ??= makeDescription();
  return made;
}

async function makeDescription() {
  const [{ openApiDocument }, { docsPage, docsPageHeaders }] = await Promise.all([
    import('../openapi/document.ts'),
    import('../openapi/docs-page.ts'),
  ]);
  const document = openApiDocument();
  return { document, page: docsPage(document), pageHeaders: docsPageHeaders };
}
