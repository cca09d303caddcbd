import type { Agreement } from '../../domain/agreement.ts';
import { noticesCorrespondentAt, sameEmail } from '../../domain/agreement.ts';
import { planActivations } from '../../domain/keys/activation-plan.ts';
import { exceptionKindOf, refuseUnlessLive } from '../../domain/keys/key.ts';
import { overrideAllowance } from '../../domain/keys/kms.ts';
import { callCenterHeadroom, callCenterMaximum } from '../../domain/keys/mak.ts';
import { generateProductKey } from '../../domain/keys/product-key.ts';
import { refuse } from '../../domain/refusal.ts';
import { listAgreements, nameDeputy } from '../../store/agreements.ts';
import type { Page, PageRequest } from '../../store/dynamodb/page.ts';
import { pageOfAll } from '../../store/dynamodb/page.ts';
import { finishReplacement, holdForReplacement } from '../../store/key-replacement.ts';
import type { KeyRecord } from '../../store/keys.ts';
import { issueMak, listKeys, readKey, revealKey } from '../../store/keys.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import type { Activation } from '../../store/mak-bucket.ts';
import { listMakActivations } from '../../store/mak-usage.ts';
import type { Store } from '../../store/store.ts';
import { paged, withAgreement, withKey, withPage } from '../http/access.ts';
import type { Caller } from '../http/caller.ts';
import { isContact } from '../http/caller.ts';
import { createApiHandler } from '../http/handler.ts';
import { listResponse } from '../http/paging.ts';
import type { ApiRequest } from '../http/parse-request.ts';
import { notFound, respondWith } from '../http/response.ts';
import { agreementView, ledgerEntryView, loadKeyView } from '../http/views.ts';
import { random } from '../runtime/random.ts';
import { getStore } from '../runtime/store.ts';
import { forecastKeyUsage } from '../use-cases/forecast-key-usage.ts';

/** The agreements and keys of a customer, for the customer and for staff. */
export const handler = createApiHandler('customer', {
  'GET /agreements': withPage(listOwnAgreements),
  'GET /agreements/{agreementId}': withAgreement(async (agreement) => ({
    status: 200,
    body: agreementView(agreement),
  })),
  'GET /agreements/{agreementId}/keys': withAgreement(paged(listAgreementKeys)),
  'POST /agreements/{agreementId}/keys': withAgreement(issueKey),
  'GET /keys/{keyId}': withKey(async (key, { now }) => ({
    status: 200,
    body: await loadKeyView(getStore(), key, now),
  })),
  'POST /keys/{keyId}/reveal': withKey(reveal),
  'GET /keys/{keyId}/activations': withKey(paged(listActivations)),
  'GET /keys/{keyId}/grants': withKey(paged(listGrants)),
  'GET /keys/{keyId}/history': withKey(paged(listKeyHistory)),
  'GET /keys/{keyId}/allowances': withKey(showAllowances),
  'GET /keys/{keyId}/forecast': withKey(async (key, { now }) => ({
    status: 200,
    body: await forecastKeyUsage(getStore(), key, now),
  })),
  'POST /keys/{keyId}/replacements': withKey(replaceKey),
  'PUT /agreements/{agreementId}/deputy': withAgreement(putDeputy),
  'POST /plans': async ({ body }) => ({
    status: 200,
    body: planActivations(body.program, body.sites, getStore().policy),
  }),
});

const drawKey = () => generateProductKey(random.below);

async function listOwnAgreements(page: PageRequest, apiRequest: ApiRequest<'GET /agreements'>) {
  const agreements = await listAgreements(getStore(), apiRequest.caller.email, page);
  return listResponse(apiRequest, agreements, agreementView);
}

async function listAgreementKeys(
  page: PageRequest,
  { agreementId }: Agreement,
  apiRequest: ApiRequest<'GET /agreements/{agreementId}/keys'>,
) {
  const store = getStore();
  const keys = await listKeys(store, agreementId, page);
  const items = await Promise.all(keys.items.map((key) => loadKeyView(store, key, apiRequest.now)));
  return listResponse(apiRequest, { ...keys, items }, (view) => view);
}

/** Issues a MAK to a contact, or to the call center on behalf of one (KEY-2). */
async function issueKey(
  agreement: Agreement,
  { body, caller, context, now }: ApiRequest<'POST /agreements/{agreementId}/keys'>,
) {
  if (!speaksForContacts(caller, agreement)) {
    return refuse('forbidden', 'Only a contact on the Authorized Contact List, or the call center, can request a MAK.');
  }
  const store = getStore();
  const outcome = await issueMak(store, agreement, { productGroup: body.productGroup, drawKey }, context);
  if (!outcome.ok) return outcome;
  const key = await readKey(store, outcome.value.keyId);
  return key === undefined ? notFound('key') : { status: 201, body: await loadKeyView(store, key, now) };
}

/** Reveals the product key to a contact, and records it (KEY-6). */
async function reveal(
  { value: { keyId } }: KeyRecord,
  { caller, context }: ApiRequest<'POST /keys/{keyId}/reveal'>,
  agreement: Agreement,
) {
  if (!isContact(caller, agreement)) {
    return refuse('forbidden', 'Only a contact on the Authorized Contact List can see the full product key.');
  }
  const outcome = await revealKey(getStore(), keyId, context);
  if (outcome === undefined) return notFound('key');
  return outcome.ok ? { status: 200, body: { productKey: outcome.value.reveal() } } : outcome;
}

async function listActivations(
  page: PageRequest,
  key: KeyRecord,
  apiRequest: ApiRequest<'GET /keys/{keyId}/activations'>,
) {
  const activations = await listKeyActivations(getStore(), key, page);
  return listResponse(apiRequest, activations, (activation) => activation);
}

async function listGrants(
  page: PageRequest,
  { value: { grants } }: KeyRecord,
  apiRequest: ApiRequest<'GET /keys/{keyId}/grants'>,
) {
  return listResponse(apiRequest, pageOfAll(grants, page), (grant) => grant);
}

async function listKeyHistory(
  page: PageRequest,
  { value: { keyId } }: KeyRecord,
  apiRequest: ApiRequest<'GET /keys/{keyId}/history'>,
) {
  const entries = await listLedgerEntries(getStore(), `KEY#${keyId}`, page);
  return listResponse(apiRequest, entries, ledgerEntryView);
}

/** Returns what the call center can grant now, when next, or what to ask for instead (OVR-5). */
async function showAllowances({ value: key }: KeyRecord, { context }: ApiRequest<'GET /keys/{keyId}/allowances'>) {
  const isBlocked = refuseUnlessLive(key) !== undefined;
  const noOverride = { available: 0, availableAt: null, remaining: 0 };
  const exception = exceptionKindOf(key.type);
  if (key.type === 'KMS') {
    const override = isBlocked ? noOverride : overrideAllowance(key, context);
    return { status: 200, body: { override, increase: null, exception } };
  }
  const increase = {
    maximumLimit: callCenterMaximum(key, context.policy),
    available: isBlocked ? 0 : callCenterHeadroom(key, context.policy),
  };
  return { status: 200, body: { override: null, increase, exception } };
}

/** Blocks the key and issues its successor (BLK-2), for a contact or for the call center on behalf of one. */
async function replaceKey(
  { value: { keyId } }: KeyRecord,
  { body, caller, context, now }: ApiRequest<'POST /keys/{keyId}/replacements'>,
  agreement: Agreement,
) {
  if (!speaksForContacts(caller, agreement)) {
    return refuse('forbidden', 'Only a contact on the Authorized Contact List, or the call center, can replace a key.');
  }
  const store = getStore();
  const { reason, callReference } = body;
  const reference = callReference ?? context.operationId;
  // The same call reference names the same replacement, whoever sends it.
  const operationId = callReference === undefined ? context.operationId : `replacement ${callReference}`;
  const hold = await holdForReplacement(store, keyId, { reason, reference, drawKey }, { ...context, operationId });
  if (hold === undefined) return notFound('key');
  if (!hold.ok) return hold;
  const issuedId = await finishReplacement(store, keyId, now);
  const [blocked, issued] = await Promise.all([
    readKey(store, keyId),
    issuedId === undefined ? undefined : readKey(store, issuedId),
  ]);
  if (blocked === undefined || issued === undefined) {
    throw new Error(`The replacement of key ${keyId} did not complete.`);
  }
  const views = await Promise.all([blocked, issued].map((key) => loadKeyView(store, key, now)));
  return { status: 201, body: { blocked: views[0], issued: views[1] } };
}

/** Names a deputy of the Notices Correspondent, who alone can do so (AGR-5). */
async function putDeputy(
  agreement: Agreement,
  { body, caller, context, now }: ApiRequest<'PUT /agreements/{agreementId}/deputy'>,
) {
  if (!sameEmail(noticesCorrespondentAt(agreement, now).email, caller.email)) {
    return refuse('forbidden', 'Only the Notices Correspondent can name a deputy.');
  }
  const outcome = await nameDeputy(getStore(), agreement.agreementId, body, context);
  if (outcome === undefined) return notFound('agreement');
  return respondWith(outcome, (updated) => ({ status: 200, body: agreementView(updated) }));
}

/** Returns whether the caller is a contact, or a call-center agent who acts for one. */
function speaksForContacts(caller: Caller, agreement: Agreement): boolean {
  return caller.roles.includes('call-center') || isContact(caller, agreement);
}

/** Lists the machines of a MAK, or the hosts of a KMS key by their first activation. */
async function listKeyActivations(
  store: Store,
  { value: key, internal }: KeyRecord,
  page: PageRequest,
): Promise<Page<Activation>> {
  if (key.type === 'MAK') {
    return listMakActivations(store, { keyId: key.keyId, bucketCount: internal.bucketCount }, page);
  }
  const hosts = key.hosts.map(({ installationId, machineName, product, firstActivatedAt }) => ({
    installationId,
    machineName,
    product,
    activatedAt: firstActivatedAt,
  }));
  return pageOfAll(hosts, page);
}
