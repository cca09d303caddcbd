import type { Grant } from '../../domain/keys/grant.ts';
import { parseInstallationId } from '../../domain/keys/installation-id.ts';
import { refuse } from '../../domain/refusal.ts';
import { giveIncrease, giveOverride, keysEndingIn, keysOf } from '../../store/keys.ts';
import { answerOf, http, listed, notFound, pageAsked } from '../http/handler.ts';
import { keyAnswer } from '../http/key-view.ts';
import { theStore } from '../runtime/store.ts';

export const handler = http('callCenter', {
  'GET /call-center/keys': async (call) => {
    const store = theStore();
    const page = pageAsked(call);
    if (!page.ok) return page;
    const { agreementId, lastFive } = call.query;
    const keys =
      lastFive !== undefined
        ? await keysEndingIn(store, lastFive, agreementId, page.ask)
        : agreementId !== undefined
          ? await keysOf(store, agreementId, page.ask)
          : undefined;
    if (keys === undefined) {
      const message = 'is missing; search by agreementId, by lastFive, or by both';
      return refuse('invalid-request', 'Say which keys to find: by agreementId, by lastFive, or by both.', {
        errors: [{ pointer: '/query/lastFive', message }],
      });
    }
    const items = await Promise.all(keys.items.map((key) => keyAnswer(store, key, call.now)));
    return listed(call, { ...keys, items }, (view) => view);
  },

  'POST /keys/{keyId}/overrides': async ({ params, body, context }) => {
    const parsed = parseInstallationId(body.installationId);
    if (!parsed.ok) return parsed;
    const ask = { ...body, installationId: parsed.installationId };
    return granted(await giveOverride(theStore(), params.keyId, ask, context));
  },

  'POST /keys/{keyId}/increases': async ({ params, body, context }) =>
    granted(await giveIncrease(theStore(), params.keyId, body, context)),
});

/** A grant that was given now is new; one that this call reference gave before is only told again (OVR-4). */
function granted(outcome: Awaited<ReturnType<typeof giveOverride>>) {
  if (outcome === undefined) return notFound('key');
  return answerOf(outcome, ({ grant, repeated }: { grant: Grant; repeated: boolean }) => ({
    status: repeated ? 200 : 201,
    body: grant,
  }));
}
