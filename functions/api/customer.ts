import { noticesCorrespondentAt, sameEmail } from '../../domain/agreement.ts';
import { plan } from '../../domain/keys/activation-plan.ts';
import { exceptionKindOf, refusedUnlessLive } from '../../domain/keys/key.ts';
import { overrideAllowance } from '../../domain/keys/kms.ts';
import { callCenterHeadroom, callCenterMaximum } from '../../domain/keys/mak.ts';
import { drawProductKey } from '../../domain/keys/product-key.ts';
import { refuse } from '../../domain/refusal.ts';
import { agreementsOf, nameDeputy } from '../../store/agreements.ts';
import type { Page, PageAsk } from '../../store/dynamodb/page.ts';
import { pageOfAll } from '../../store/dynamodb/page.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { finishReplacement, holdForReplacement } from '../../store/key-replacement.ts';
import type { KeptKey } from '../../store/keys.ts';
import { issueMak, keysOf, readKey, revealKey } from '../../store/keys.ts';
import { historyOf } from '../../store/ledger.ts';
import type { Activation } from '../../store/mak-activations.ts';
import { activationsOnMak } from '../../store/mak-activations.ts';
import { agreementFor, keyFor } from '../http/access.ts';
import { isContact } from '../http/caller.ts';
import { answerOf, http, listed, notFound, pageAsked } from '../http/handler.ts';
import { keyAnswer } from '../http/key-view.ts';
import { agreementView, entryView } from '../http/views.ts';
import { world } from '../runtime/clock.ts';
import { theStore } from '../runtime/store.ts';
import { keyForecast } from '../use-cases/forecast-key-usage.ts';

export const handler = http('portal', {
  'GET /agreements': async (call) => {
    const page = pageAsked(call);
    if (!page.ok) return page;
    return listed(call, await agreementsOf(theStore(), call.caller.email, page.ask), agreementView);
  },

  'GET /agreements/{agreementId}': async (call) => {
    const found = await agreementFor(theStore(), call.params.agreementId, call);
    return found.ok ? { status: 200, body: agreementView(found.agreement) } : found;
  },

  'GET /agreements/{agreementId}/keys': async (call) => {
    const store = theStore();
    const page = pageAsked(call);
    if (!page.ok) return page;
    const found = await agreementFor(store, call.params.agreementId, call);
    if (!found.ok) return found;
    const keys = await keysOf(store, call.params.agreementId, page.ask);
    const items = await Promise.all(keys.items.map((key) => keyAnswer(store, key, call.now)));
    return listed(call, { ...keys, items }, (view) => view);
  },

  'POST /agreements/{agreementId}/keys': async (call) => {
    const store = theStore();
    const found = await agreementFor(store, call.params.agreementId, call);
    if (!found.ok) return found;
    const { agreement } = found;
    if (!call.caller.roles.includes('call-center') && !isContact(call.caller, agreement)) {
      return refuse(
        'forbidden',
        'Only a contact on the Authorized Contact List, or the call centre for one, may get a MAK.',
      );
    }
    const drawKey = () => drawProductKey(world.below);
    const { productGroup } = call.body;
    const outcome = await issueMak(store, agreement, { productGroup, drawKey }, call.context);
    if (!outcome.ok) return outcome;
    const key = await readKey(store, outcome.answer.keyId);
    return key === undefined ? notFound('key') : { status: 201, body: await keyAnswer(store, key, call.now) };
  },

  'GET /keys/{keyId}': async (call) => {
    const store = theStore();
    const found = await keyFor(store, call.params.keyId, call);
    return found.ok ? { status: 200, body: await keyAnswer(store, found.key, call.now) } : found;
  },

  'POST /keys/{keyId}/reveal': async (call) => {
    const store = theStore();
    const found = await keyFor(store, call.params.keyId, call);
    if (!found.ok) return found;
    if (!isContact(call.caller, found.agreement)) {
      return refuse('forbidden', 'The whole key is shown only to a contact on the Authorized Contact List.');
    }
    const shown = await revealKey(store, call.params.keyId, call.context);
    if (shown === undefined) return notFound('key');
    return shown.ok ? { status: 200, body: { productKey: shown.answer.reveal() } } : shown;
  },

  'GET /keys/{keyId}/activations': async (call) => {
    const store = theStore();
    const page = pageAsked(call);
    if (!page.ok) return page;
    const found = await keyFor(store, call.params.keyId, call);
    if (!found.ok) return found;
    return listed(call, await activationsOn(store, found.key, page.ask), (activation) => activation);
  },

  'GET /keys/{keyId}/grants': async (call) => {
    const page = pageAsked(call);
    if (!page.ok) return page;
    const found = await keyFor(theStore(), call.params.keyId, call);
    if (!found.ok) return found;
    return listed(call, pageOfAll(found.key.state.grants, page.ask), (grant) => grant);
  },

  'GET /keys/{keyId}/history': async (call) => {
    const store = theStore();
    const page = pageAsked(call);
    if (!page.ok) return page;
    const found = await keyFor(store, call.params.keyId, call);
    if (!found.ok) return found;
    return listed(call, await historyOf(store, `KEY#${call.params.keyId}`, page.ask), entryView);
  },

  'GET /keys/{keyId}/allowances': async (call) => {
    const { policy } = theStore();
    const found = await keyFor(theStore(), call.params.keyId, call);
    if (!found.ok) return found;
    const { state } = found.key;
    const nothingMore = refusedUnlessLive(state) !== undefined;
    const override =
      state.type === 'KMS'
        ? nothingMore
          ? { available: 0, availableAt: null, remaining: 0 }
          : overrideAllowance(state, call.context)
        : null;
    const increase =
      state.type === 'MAK'
        ? {
            maximumLimit: callCenterMaximum(state, policy),
            available: nothingMore ? 0 : callCenterHeadroom(state, policy),
          }
        : null;
    return { status: 200, body: { override, increase, exception: exceptionKindOf(state.type) } };
  },

  'GET /keys/{keyId}/forecast': async (call) => {
    const store = theStore();
    const found = await keyFor(store, call.params.keyId, call);
    return found.ok ? { status: 200, body: await keyForecast(store, found.key, call.now) } : found;
  },

  'POST /keys/{keyId}/replacements': async (call) => {
    const store = theStore();
    const { keyId } = call.params;
    const found = await keyFor(store, keyId, call);
    if (!found.ok) return found;
    if (!call.caller.roles.includes('call-center') && !isContact(call.caller, found.agreement)) {
      return refuse(
        'forbidden',
        'Only a contact on the Authorized Contact List, or the call centre for one, may replace a key.',
      );
    }
    const { reason, callReference } = call.body;
    const reference = callReference ?? call.operation;
    // A call that was made before, under its reference, is the same replacement.
    const operationId = callReference === undefined ? call.operation : `replacement ${callReference}`;
    const ask = { reason, reference, drawKey: () => drawProductKey(world.below) };
    const held = await holdForReplacement(store, keyId, ask, { ...call.context, operationId });
    if (held === undefined) return notFound('key');
    if (!held.ok) return held;
    const issuedId = await finishReplacement(store, keyId, call.now);
    const [blocked, issued] = await Promise.all([
      readKey(store, keyId),
      issuedId === undefined ? undefined : readKey(store, issuedId),
    ]);
    if (blocked === undefined || issued === undefined)
      throw new Error(`The replacement of key ${keyId} was not completed.`);
    const body = {
      blocked: await keyAnswer(store, blocked, call.now),
      issued: await keyAnswer(store, issued, call.now),
    };
    return { status: 201, body };
  },

  'PUT /agreements/{agreementId}/deputy': async (call) => {
    const store = theStore();
    const found = await agreementFor(store, call.params.agreementId, call);
    if (!found.ok) return found;
    const { agreement } = found;
    if (!sameEmail(noticesCorrespondentAt(agreement, call.now).email, call.caller.email)) {
      return refuse('forbidden', 'Only the Notices Correspondent may name a deputy.');
    }
    const { agreementId } = agreement;
    const outcome = await nameDeputy(store, agreementId, call.body, call.context);
    if (outcome === undefined) return notFound('agreement');
    return answerOf(outcome, (named) => ({ status: 200, body: agreementView(named) }));
  },

  'POST /plans': async ({ body }) => ({ status: 200, body: plan(body.program, body.sites, theStore().policy) }),
});

/** The activations of a key: a MAK's machines, or a KMS key's hosts by their first activation. */
async function activationsOn(store: Store, { state, kept }: KeptKey, ask: PageAsk): Promise<Page<Activation>> {
  if (state.type === 'MAK') return activationsOnMak(store, { keyId: state.keyId, bucketCount: kept.bucketCount }, ask);
  const hosts = state.hosts.map(({ installationId, machineName, product, firstActivatedAt }) => ({
    installationId,
    machineName,
    product,
    activatedAt: firstActivatedAt,
  }));
  return pageOfAll(hosts, ask);
}
