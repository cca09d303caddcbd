import { generateProductKey } from '../../domain/keys/product-key.ts';
import { changeContacts, nameNewCorrespondent, registerAgreement } from '../../store/agreements.ts';
import { listKeys } from '../../store/keys.ts';
import { createApiHandler } from '../http/handler.ts';
import type { ApiRequest } from '../http/parse-request.ts';
import { notFound, respondWith } from '../http/response.ts';
import { agreementView, loadKeyView } from '../http/views.ts';
import { random } from '../runtime/random.ts';
import { getStore } from '../runtime/store.ts';

/** Agreements and their people, for licensing admins. */
export const handler = createApiHandler('admin', {
  'POST /agreements': register,
  'PUT /agreements/{agreementId}/contacts': putContacts,
  'PUT /agreements/{agreementId}/notices-correspondent': putNoticesCorrespondent,
});

/** Registers an agreement, and issues its KMS key if it covers Windows Vista (KEY-1). */
async function register({ body, now, context }: ApiRequest<'POST /agreements'>) {
  const store = getStore();
  const outcome = await registerAgreement(store, body, () => generateProductKey(random.below), context);
  if (!outcome.ok) return outcome;
  const { items } = await listKeys(store, outcome.value.agreementId, { limit: 100, after: null });
  const keys = await Promise.all(items.map((key) => loadKeyView(store, key, now)));
  return { status: 201, body: { ...agreementView(outcome.value), keys } };
}

async function putContacts({ params, body, context }: ApiRequest<'PUT /agreements/{agreementId}/contacts'>) {
  const outcome = await changeContacts(getStore(), params.agreementId, body.contacts, context);
  if (outcome === undefined) return notFound('agreement');
  return respondWith(outcome, (agreement) => ({ status: 200, body: agreementView(agreement) }));
}

/** Names a new Notices Correspondent, who takes over after the waiting period (AGR-4). */
async function putNoticesCorrespondent({
  params,
  body,
  context,
}: ApiRequest<'PUT /agreements/{agreementId}/notices-correspondent'>) {
  const outcome = await nameNewCorrespondent(getStore(), params.agreementId, body, context);
  if (outcome === undefined) return notFound('agreement');
  return respondWith(outcome, (agreement) => ({ status: 200, body: agreementView(agreement) }));
}
