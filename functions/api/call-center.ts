import { parseInstallationId } from '../../domain/keys/installation-id.ts';
import { refuse } from '../../domain/refusal.ts';
import type { PageRequest } from '../../store/dynamodb/page.ts';
import { grantIncrease, grantOverride, listKeys, listKeysByLastFive } from '../../store/keys.ts';
import { withPage } from '../http/access.ts';
import { createApiHandler } from '../http/handler.ts';
import { listResponse } from '../http/paging.ts';
import type { ApiRequest } from '../http/parse-request.ts';
import { notFound, respondWith } from '../http/response.ts';
import { loadKeyView } from '../http/views.ts';
import { getStore } from '../runtime/store.ts';

/** Key search and grants by phone, for call-center agents. */
export const handler = createApiHandler('callCenter', {
  'GET /call-center/keys': withPage(findKeys),
  'POST /keys/{keyId}/overrides': postOverride,
  'POST /keys/{keyId}/increases': postIncrease,
});

async function findKeys(page: PageRequest, apiRequest: ApiRequest<'GET /call-center/keys'>) {
  const store = getStore();
  const { agreementId, lastFive } = apiRequest.query;
  const keys =
    lastFive !== undefined
      ? await listKeysByLastFive(store, lastFive, agreementId, page)
      : agreementId !== undefined
        ? await listKeys(store, agreementId, page)
        : undefined;
  if (keys === undefined) {
    const message = 'is missing; search by agreementId, by lastFive, or by both';
    return refuse('invalid-request', 'Search by agreementId, by lastFive, or by both.', {
      errors: [{ pointer: '/query/lastFive', message }],
    });
  }
  const items = await Promise.all(keys.items.map((key) => loadKeyView(store, key, apiRequest.now)));
  return listResponse(apiRequest, { ...keys, items }, (view) => view);
}

/** Grants one more activation to the host whose installation ID the caller reads out (OVR-1). */
async function postOverride({ params, body, context }: ApiRequest<'POST /keys/{keyId}/overrides'>) {
  const installation = parseInstallationId(body.installationId);
  if (!installation.ok) return installation;
  const { installationId } = installation;
  return grantResponse(await grantOverride(getStore(), params.keyId, { ...body, installationId }, context));
}

/** Raises the limit of a MAK, up to double the original amount (MAK-4). */
async function postIncrease({ params, body, context }: ApiRequest<'POST /keys/{keyId}/increases'>) {
  return grantResponse(await grantIncrease(getStore(), params.keyId, body, context));
}

/** A new grant is 201. A call reference that was used before gets its first grant again, with 200 (OVR-4). */
function grantResponse(outcome: Awaited<ReturnType<typeof grantOverride>>) {
  if (outcome === undefined) return notFound('key');
  return respondWith(outcome, ({ grant, isRepeat }) => ({ status: isRepeat ? 200 : 201, body: grant }));
}
