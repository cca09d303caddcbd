import type { Grant } from '../../domain/keys/grant.ts';
import { parseInstallationId } from '../../domain/keys/installation-id.ts';
import { refuse } from '../../domain/refusal.ts';
import { grantIncrease, grantOverride, listKeys, listKeysByLastFive } from '../../store/keys.ts';
import { createApiHandler } from '../http/handler.ts';
import { loadKeyView } from '../http/key-view.ts';
import { listResponse, parsePageRequest } from '../http/paging.ts';
import { notFound, respondWith } from '../http/response.ts';
import { getStore } from '../runtime/store.ts';

export const handler = createApiHandler('callCenter', {
  'GET /call-center/keys': async (apiRequest) => {
    const store = getStore();
    const paging = parsePageRequest(apiRequest);
    if (!paging.ok) return paging;
    const { agreementId, lastFive } = apiRequest.query;
    const keys =
      lastFive !== undefined
        ? await listKeysByLastFive(store, lastFive, agreementId, paging.request)
        : agreementId !== undefined
          ? await listKeys(store, agreementId, paging.request)
          : undefined;
    if (keys === undefined) {
      const message = 'is missing; search by agreementId, by lastFive, or by both';
      return refuse('invalid-request', 'Say which keys to find: by agreementId, by lastFive, or by both.', {
        errors: [{ pointer: '/query/lastFive', message }],
      });
    }
    const items = await Promise.all(keys.items.map((key) => loadKeyView(store, key, apiRequest.now)));
    return listResponse(apiRequest, { ...keys, items }, (view) => view);
  },

  'POST /keys/{keyId}/overrides': async ({ params, body, context }) => {
    const installation = parseInstallationId(body.installationId);
    if (!installation.ok) return installation;
    const overrideRequest = { ...body, installationId: installation.installationId };
    return grantResponse(await grantOverride(getStore(), params.keyId, overrideRequest, context));
  },

  'POST /keys/{keyId}/increases': async ({ params, body, context }) =>
    grantResponse(await grantIncrease(getStore(), params.keyId, body, context)),
});

/** A grant that was given now is new; one that this call reference gave before is only told again (OVR-4). */
function grantResponse(outcome: Awaited<ReturnType<typeof grantOverride>>) {
  if (outcome === undefined) return notFound('key');
  return respondWith(outcome, ({ grant, isRepeat }: { grant: Grant; isRepeat: boolean }) => ({
    status: isRepeat ? 200 : 201,
    body: grant,
  }));
}
