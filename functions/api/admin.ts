import { generateProductKey } from '../../domain/keys/product-key.ts';
import { changeContacts, nameNewCorrespondent, registerAgreement } from '../../store/agreements.ts';
import { listKeys } from '../../store/keys.ts';
import { createApiHandler } from '../http/handler.ts';
import { loadKeyView } from '../http/key-view.ts';
import { notFound, respondWith } from '../http/response.ts';
import { agreementView } from '../http/views.ts';
import { random } from '../runtime/random.ts';
import { getStore } from '../runtime/store.ts';

export const handler = createApiHandler('admin', {
  'POST /agreements': async ({ body, now, context }) => {
    const store = getStore();
    const draw = () => generateProductKey(random.below);
    const outcome = await registerAgreement(store, body, draw, context);
    if (!outcome.ok) return outcome;
    const { items } = await listKeys(store, outcome.value.agreementId, { limit: 100, after: null });
    const keys = await Promise.all(items.map((key) => loadKeyView(store, key, now)));
    return { status: 201, body: { ...agreementView(outcome.value), keys } };
  },

  'PUT /agreements/{agreementId}/contacts': async ({ params, body, context }) => {
    const outcome = await changeContacts(getStore(), params.agreementId, body.contacts, context);
    if (outcome === undefined) return notFound('agreement');
    return respondWith(outcome, (agreement) => ({ status: 200, body: agreementView(agreement) }));
  },

  'PUT /agreements/{agreementId}/notices-correspondent': async ({ params, body, context }) => {
    const outcome = await nameNewCorrespondent(getStore(), params.agreementId, body, context);
    if (outcome === undefined) return notFound('agreement');
    return respondWith(outcome, (agreement) => ({ status: 200, body: agreementView(agreement) }));
  },
});
