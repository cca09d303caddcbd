import type { Agreement } from '../../domain/agreement.ts';
import type { Context } from '../../domain/context.ts';
import type { Changed, ExceptionRequest } from '../../domain/exceptions/request.ts';
import { answer, forward, question, reject, withdraw } from '../../domain/exceptions/request.ts';
import type { Policy } from '../../domain/policy.ts';
import type { Decided, Refused } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { agreementsOf } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { findException, listExceptions, moveException } from '../../store/exceptions.ts';
import { historyOf } from '../../store/ledger.ts';
import { agreementFor } from '../http/access.ts';
import { accessTo, forbidden, isContact, isStaffOnly } from '../http/caller.ts';
import type { Answer, Call } from '../http/handler.ts';
import { http, listed, notFound, pageAsked } from '../http/handler.ts';
import { entryView, exceptionView } from '../http/views.ts';
import type { Route } from '../manifest.ts';
import { theStore } from '../runtime/store.ts';
import { theEngine } from '../runtime/workflow-client.ts';
import { signal } from '../use-cases/signal-workflow.ts';
import { takeRequest } from '../use-cases/submit-request.ts';

/** The most agreements of one customer whose requests are put into one list; more are asked for one by one. */
const agreementsInOneList = 100;

export const handler = http('exceptions', {
  'POST /exceptions': async ({ body, caller, who, now, context }) => {
    const store = theStore();
    const sender = { maySpeakFor: (agreement: Agreement) => accessTo(agreement, caller, who, now) === 'open' };
    const taken = await takeRequest(store, theEngine(), { intake: body, sender }, context);
    if (taken.ok) return accepted(taken.request, now, store.policy);
    // Staff who may not send requests are told so, and not that an agreement which they can see had no such contact.
    const notTheirs = taken.refusal.code === 'requester-not-authorized' && isStaffOnly(caller, who);
    return notTheirs ? forbidden(who) : taken;
  },

  'GET /exceptions': async (call) => {
    const store = theStore();
    const page = pageAsked(call);
    if (!page.ok) return page;
    const { status = null, agreementId } = call.query;
    const isStaff = call.caller.roles.length > 0;
    if (agreementId !== undefined && !isStaff) {
      const found = await agreementFor(store, agreementId, { ...call, who: ['customer'] });
      if (!found.ok) return found;
    }
    const agreementIds =
      agreementId !== undefined ? [agreementId] : isStaff ? null : await own(store, call.caller.email);
    const requests = await listExceptions(store, { status, agreementIds }, page.ask);
    return listed(call, requests, (request) => exceptionView(request, call.now, store.policy));
  },

  'GET /exceptions/{exceptionId}': async (call) => {
    const found = await exceptionFor(call);
    return found.ok ? { status: 200, body: exceptionView(found.request, call.now, theStore().policy) } : found;
  },

  'GET /exceptions/{exceptionId}/history': async (call) => {
    const page = pageAsked(call);
    if (!page.ok) return page;
    const found = await exceptionFor(call);
    if (!found.ok) return found;
    const owner = `EXCEPTION#${call.params.exceptionId}` as const;
    return listed(call, await historyOf(theStore(), owner, page.ask), entryView);
  },

  'POST /exceptions/{exceptionId}/questions': (call) =>
    move(call, (request, context) => question(request, call.body.text, context)),

  'POST /exceptions/{exceptionId}/answers': (call) =>
    moveByContact(call, (request, context) => answer(request, call.body.text, context)),

  'POST /exceptions/{exceptionId}/review': (call) => {
    const { body } = call;
    return move(call, (request, context) =>
      body.decision === 'forward' ? forward(request, body.activations, context) : reject(request, body.reason, context),
    );
  },

  'POST /exceptions/{exceptionId}/withdrawal': (call) =>
    moveByContact(call, (request, context) => withdraw(request, call.body.reason ?? null, context)),
});

async function own(store: Store, email: string): Promise<readonly string[]> {
  const page = await agreementsOf(store, email, { limit: agreementsInOneList, after: null });
  return page.items.map(({ agreementId }) => agreementId);
}

type ExceptionCall = Pick<Call<Route>, 'caller' | 'who' | 'now' | 'context'> & {
  readonly params: { readonly exceptionId: string };
};

/** The request with this id, if the caller may do here what the route does (AGR-3). */
async function exceptionFor(
  call: ExceptionCall,
  needsContact = false,
): Promise<Decided<{ readonly request: ExceptionRequest }>> {
  const store = theStore();
  const request = await findException(store, call.params.exceptionId);
  if (request === undefined) return notFound('request');
  const found = await agreementFor(store, request.agreementId, call, 'request');
  if (!found.ok) return found;
  return needsContact && !isContact(call.caller, found.agreement)
    ? refuse('forbidden', 'Only a contact on the Authorized Contact List may do this.')
    : { ok: true, request };
}

type Decide = (request: ExceptionRequest, context: Context) => Decided<Changed>;

function moveByContact(call: ExceptionCall, decide: Decide): Promise<Answer | Refused> {
  return move(call, decide, true);
}

/** Writes what the rule decides, then signals the workflow. */
async function move(call: ExceptionCall, decide: Decide, needsContact = false): Promise<Answer | Refused> {
  const store = theStore();
  const found = await exceptionFor(call, needsContact);
  if (!found.ok) return found;
  const { exceptionId } = found.request;
  const { context } = call;
  const outcome = await moveException(store, exceptionId, (request) => decide(request, context), context);
  if (outcome === undefined) return notFound('request');
  if (!outcome.ok) return outcome;
  await signal(store, theEngine(), exceptionId, call.now);
  return accepted(outcome.answer, call.now, store.policy);
}

function accepted(request: ExceptionRequest, now: Call<Route>['now'], policy: Policy): Answer {
  return { status: 202, body: exceptionView(request, now, policy) };
}
