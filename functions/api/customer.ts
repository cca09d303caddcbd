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
import { loadAgreementFor, loadKeyFor } from '../http/access.ts';
import { isContact } from '../http/caller.ts';
import { createApiHandler } from '../http/handler.ts';
import { loadKeyView } from '../http/key-view.ts';
import { listResponse, parsePageRequest } from '../http/paging.ts';
import { notFound, respondWith } from '../http/response.ts';
import { agreementView, ledgerEntryView } from '../http/views.ts';
import { random } from '../runtime/random.ts';
import { getStore } from '../runtime/store.ts';
import { forecastKeyUsage } from '../use-cases/forecast-key-usage.ts';

export const handler = createApiHandler('customer', {
  'GET /agreements': async (apiRequest) => {
    const paging = parsePageRequest(apiRequest);
    if (!paging.ok) return paging;
    return listResponse(
      apiRequest,
      await listAgreements(getStore(), apiRequest.caller.email, paging.request),
      agreementView,
    );
  },

  'GET /agreements/{agreementId}': async (apiRequest) => {
    const result = await loadAgreementFor(getStore(), apiRequest.params.agreementId, apiRequest);
    return result.ok ? { status: 200, body: agreementView(result.agreement) } : result;
  },

  'GET /agreements/{agreementId}/keys': async (apiRequest) => {
    const store = getStore();
    const paging = parsePageRequest(apiRequest);
    if (!paging.ok) return paging;
    const result = await loadAgreementFor(store, apiRequest.params.agreementId, apiRequest);
    if (!result.ok) return result;
    const keys = await listKeys(store, apiRequest.params.agreementId, paging.request);
    const items = await Promise.all(keys.items.map((key) => loadKeyView(store, key, apiRequest.now)));
    return listResponse(apiRequest, { ...keys, items }, (view) => view);
  },

  'POST /agreements/{agreementId}/keys': async (apiRequest) => {
    const store = getStore();
    const result = await loadAgreementFor(store, apiRequest.params.agreementId, apiRequest);
    if (!result.ok) return result;
    const { agreement } = result;
    if (!apiRequest.caller.roles.includes('call-center') && !isContact(apiRequest.caller, agreement)) {
      return refuse(
        'forbidden',
        'Only a contact on the Authorized Contact List, or the call centre for one, may get a MAK.',
      );
    }
    const drawKey = () => generateProductKey(random.below);
    const { productGroup } = apiRequest.body;
    const outcome = await issueMak(store, agreement, { productGroup, drawKey }, apiRequest.context);
    if (!outcome.ok) return outcome;
    const key = await readKey(store, outcome.value.keyId);
    return key === undefined ? notFound('key') : { status: 201, body: await loadKeyView(store, key, apiRequest.now) };
  },

  'GET /keys/{keyId}': async (apiRequest) => {
    const store = getStore();
    const result = await loadKeyFor(store, apiRequest.params.keyId, apiRequest);
    return result.ok ? { status: 200, body: await loadKeyView(store, result.key, apiRequest.now) } : result;
  },

  'POST /keys/{keyId}/reveal': async (apiRequest) => {
    const store = getStore();
    const result = await loadKeyFor(store, apiRequest.params.keyId, apiRequest);
    if (!result.ok) return result;
    if (!isContact(apiRequest.caller, result.agreement)) {
      return refuse('forbidden', 'The whole key is shown only to a contact on the Authorized Contact List.');
    }
    const revealResult = await revealKey(store, apiRequest.params.keyId, apiRequest.context);
    if (revealResult === undefined) return notFound('key');
    return revealResult.ok ? { status: 200, body: { productKey: revealResult.value.reveal() } } : revealResult;
  },

  'GET /keys/{keyId}/activations': async (apiRequest) => {
    const store = getStore();
    const paging = parsePageRequest(apiRequest);
    if (!paging.ok) return paging;
    const result = await loadKeyFor(store, apiRequest.params.keyId, apiRequest);
    if (!result.ok) return result;
    return listResponse(
      apiRequest,
      await listKeyActivations(store, result.key, paging.request),
      (activation) => activation,
    );
  },

  'GET /keys/{keyId}/grants': async (apiRequest) => {
    const paging = parsePageRequest(apiRequest);
    if (!paging.ok) return paging;
    const result = await loadKeyFor(getStore(), apiRequest.params.keyId, apiRequest);
    if (!result.ok) return result;
    return listResponse(apiRequest, pageOfAll(result.key.value.grants, paging.request), (grant) => grant);
  },

  'GET /keys/{keyId}/history': async (apiRequest) => {
    const store = getStore();
    const paging = parsePageRequest(apiRequest);
    if (!paging.ok) return paging;
    const result = await loadKeyFor(store, apiRequest.params.keyId, apiRequest);
    if (!result.ok) return result;
    return listResponse(
      apiRequest,
      await listLedgerEntries(store, `KEY#${apiRequest.params.keyId}`, paging.request),
      ledgerEntryView,
    );
  },

  'GET /keys/{keyId}/allowances': async (apiRequest) => {
    const { policy } = getStore();
    const result = await loadKeyFor(getStore(), apiRequest.params.keyId, apiRequest);
    if (!result.ok) return result;
    const { value: key } = result.key;
    const isBlocked = refuseUnlessLive(key) !== undefined;
    const override =
      key.type === 'KMS'
        ? isBlocked
          ? { available: 0, availableAt: null, remaining: 0 }
          : overrideAllowance(key, apiRequest.context)
        : null;
    const increase =
      key.type === 'MAK'
        ? {
            maximumLimit: callCenterMaximum(key, policy),
            available: isBlocked ? 0 : callCenterHeadroom(key, policy),
          }
        : null;
    return { status: 200, body: { override, increase, exception: exceptionKindOf(key.type) } };
  },

  'GET /keys/{keyId}/forecast': async (apiRequest) => {
    const store = getStore();
    const result = await loadKeyFor(store, apiRequest.params.keyId, apiRequest);
    return result.ok ? { status: 200, body: await forecastKeyUsage(store, result.key, apiRequest.now) } : result;
  },

  'POST /keys/{keyId}/replacements': async (apiRequest) => {
    const store = getStore();
    const { keyId } = apiRequest.params;
    const result = await loadKeyFor(store, keyId, apiRequest);
    if (!result.ok) return result;
    if (!apiRequest.caller.roles.includes('call-center') && !isContact(apiRequest.caller, result.agreement)) {
      return refuse(
        'forbidden',
        'Only a contact on the Authorized Contact List, or the call centre for one, may replace a key.',
      );
    }
    const { reason, callReference } = apiRequest.body;
    const reference = callReference ?? apiRequest.operationId;
    // A call that was made before, under its reference, is the same replacement.
    const operationId = callReference === undefined ? apiRequest.operationId : `replacement ${callReference}`;
    const replacementRequest = { reason, reference, drawKey: () => generateProductKey(random.below) };
    const hold = await holdForReplacement(store, keyId, replacementRequest, { ...apiRequest.context, operationId });
    if (hold === undefined) return notFound('key');
    if (!hold.ok) return hold;
    const issuedId = await finishReplacement(store, keyId, apiRequest.now);
    const [blocked, issued] = await Promise.all([
      readKey(store, keyId),
      issuedId === undefined ? undefined : readKey(store, issuedId),
    ]);
    if (blocked === undefined || issued === undefined)
      throw new Error(`The replacement of key ${keyId} was not completed.`);
    const body = {
      blocked: await loadKeyView(store, blocked, apiRequest.now),
      issued: await loadKeyView(store, issued, apiRequest.now),
    };
    return { status: 201, body };
  },

  'PUT /agreements/{agreementId}/deputy': async (apiRequest) => {
    const store = getStore();
    const result = await loadAgreementFor(store, apiRequest.params.agreementId, apiRequest);
    if (!result.ok) return result;
    const { agreement } = result;
    if (!sameEmail(noticesCorrespondentAt(agreement, apiRequest.now).email, apiRequest.caller.email)) {
      return refuse('forbidden', 'Only the Notices Correspondent may name a deputy.');
    }
    const { agreementId } = agreement;
    const outcome = await nameDeputy(store, agreementId, apiRequest.body, apiRequest.context);
    if (outcome === undefined) return notFound('agreement');
    return respondWith(outcome, (updatedAgreement) => ({ status: 200, body: agreementView(updatedAgreement) }));
  },

  'POST /plans': async ({ body }) => ({
    status: 200,
    body: planActivations(body.program, body.sites, getStore().policy),
  }),
});

/** The activations of a key: a MAK's machines, or a KMS key's hosts by their first activation. */
async function listKeyActivations(
  store: Store,
  { value: key, internal }: KeyRecord,
  pageRequest: PageRequest,
): Promise<Page<Activation>> {
  if (key.type === 'MAK')
    return listMakActivations(store, { keyId: key.keyId, bucketCount: internal.bucketCount }, pageRequest);
  const hosts = key.hosts.map(({ installationId, machineName, product, firstActivatedAt }) => ({
    installationId,
    machineName,
    product,
    activatedAt: firstActivatedAt,
  }));
  return pageOfAll(hosts, pageRequest);
}
