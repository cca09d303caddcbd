import type { Agreement } from '../../domain/agreement.ts';
import type { Context } from '../../domain/context.ts';
import type { ExceptionRequest, Transition } from '../../domain/exceptions/request.ts';
import {
  answerQuestion,
  askQuestion,
  forwardRequest,
  rejectRequest,
  withdrawRequest,
} from '../../domain/exceptions/review.ts';
import type { Policy } from '../../domain/policy.ts';
import type { RefusalResult, Result } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { listAgreements } from '../../store/agreements.ts';
import type { PageRequest } from '../../store/dynamodb/page.ts';
import { findException, listExceptions, transitionException } from '../../store/exceptions.ts';
import { listLedgerEntries } from '../../store/ledger.ts';
import type { Store } from '../../store/store.ts';
import { loadAgreementFor, withPage } from '../http/access.ts';
import { accessTo, isContact, isStaffWithoutRole, refuseForbidden } from '../http/caller.ts';
import { createApiHandler } from '../http/handler.ts';
import { listResponse } from '../http/paging.ts';
import type { ApiRequest } from '../http/parse-request.ts';
import type { HttpResponse } from '../http/response.ts';
import { notFound } from '../http/response.ts';
import { exceptionView, ledgerEntryView } from '../http/views.ts';
import type { Route } from '../manifest.ts';
import { getStore } from '../runtime/store.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { tryDeliverSignal } from '../use-cases/signal-workflow.ts';
import { submitRequest } from '../use-cases/submit-request.ts';

/** A list combines the requests of at most this many agreements of a customer. For more, filter by agreement. */
const agreementsPerListMax = 100;

/** Exception requests, for the people who make, review, and follow them. */
export const handler = createApiHandler('exceptions', {
  'POST /exceptions': postException,
  'GET /exceptions': withPage(listRequests),
  'GET /exceptions/{exceptionId}': showRequest,
  'GET /exceptions/{exceptionId}/history': withPage(listRequestHistory),
  'POST /exceptions/{exceptionId}/questions': (apiRequest) =>
    applyTransition(apiRequest, (request, context) => askQuestion(request, apiRequest.body.text, context)),
  'POST /exceptions/{exceptionId}/answers': (apiRequest) =>
    applyContactTransition(apiRequest, (request, context) => answerQuestion(request, apiRequest.body.text, context)),
  'POST /exceptions/{exceptionId}/review': (apiRequest) =>
    applyTransition(apiRequest, (request, context) => review(request, apiRequest.body, context)),
  'POST /exceptions/{exceptionId}/withdrawal': (apiRequest) =>
    applyContactTransition(apiRequest, (request, context) =>
      withdrawRequest(request, apiRequest.body.reason ?? null, context),
    ),
});

async function postException({ body, caller, audience, now, context }: ApiRequest<'POST /exceptions'>) {
  const store = getStore();
  const sender = { maySpeakFor: (agreement: Agreement) => accessTo(agreement, caller, audience, now) === 'open' };
  const submission = await submitRequest(store, getWorkflowClient(), { form: body, sender }, context);
  if (submission.ok) return acceptedResponse(submission.request, now, store.policy);
  // For staff of another role, the reason is the role and not the contact list.
  const isWrongRole = submission.refusal.code === 'requester-not-authorized' && isStaffWithoutRole(caller, audience);
  return isWrongRole ? refuseForbidden(audience) : submission;
}

async function listRequests(page: PageRequest, apiRequest: ApiRequest<'GET /exceptions'>) {
  const store = getStore();
  const { status = null, agreementId } = apiRequest.query;
  const isStaff = apiRequest.caller.roles.length > 0;
  if (agreementId !== undefined && !isStaff) {
    const result = await loadAgreementFor(store, agreementId, { ...apiRequest, audience: ['customer'] });
    if (!result.ok) return result;
  }
  const ownAgreementIds = isStaff ? null : await listOwnAgreementIds(store, apiRequest.caller.email);
  const agreementIds = agreementId === undefined ? ownAgreementIds : [agreementId];
  const requests = await listExceptions(store, { status, agreementIds }, page);
  return listResponse(apiRequest, requests, (request) => exceptionView(request, apiRequest.now, store.policy));
}

async function showRequest(apiRequest: ApiRequest<'GET /exceptions/{exceptionId}'>) {
  const result = await loadExceptionFor(apiRequest);
  return result.ok ? { status: 200, body: exceptionView(result.request, apiRequest.now, getStore().policy) } : result;
}

async function listRequestHistory(page: PageRequest, apiRequest: ApiRequest<'GET /exceptions/{exceptionId}/history'>) {
  const result = await loadExceptionFor(apiRequest);
  if (!result.ok) return result;
  const owner = `EXCEPTION#${apiRequest.params.exceptionId}` as const;
  return listResponse(apiRequest, await listLedgerEntries(getStore(), owner, page), ledgerEntryView);
}

/** Forwards the request to the Correspondent, possibly with a smaller number, or rejects it (EXC-7). */
function review(
  request: ExceptionRequest,
  body: ApiRequest<'POST /exceptions/{exceptionId}/review'>['body'],
  context: Context,
): Result<Transition> {
  return body.decision === 'forward'
    ? forwardRequest(request, body.activations, context)
    : rejectRequest(request, body.reason, context);
}

async function listOwnAgreementIds(store: Store, email: string): Promise<readonly string[]> {
  const page = await listAgreements(store, email, { limit: agreementsPerListMax, after: null });
  return page.items.map(({ agreementId }) => agreementId);
}

type ExceptionApiRequest = Pick<ApiRequest<Route>, 'caller' | 'audience' | 'now' | 'context'> & {
  readonly params: { readonly exceptionId: string };
};

/** Returns the request with this ID, if the caller may do what the route does (AGR-3). */
async function loadExceptionFor(
  apiRequest: ExceptionApiRequest,
  needsContact = false,
): Promise<Result<{ readonly request: ExceptionRequest }>> {
  const store = getStore();
  const request = await findException(store, apiRequest.params.exceptionId);
  if (request === undefined) return notFound('request');
  const result = await loadAgreementFor(store, request.agreementId, apiRequest, 'request');
  if (!result.ok) return result;
  return needsContact && !isContact(apiRequest.caller, result.agreement)
    ? refuse('forbidden', 'Only a contact on the Authorized Contact List can do this.')
    : { ok: true, request };
}

type TransitionFunction = (request: ExceptionRequest, context: Context) => Result<Transition>;

function applyContactTransition(
  apiRequest: ExceptionApiRequest,
  decide: TransitionFunction,
): Promise<HttpResponse | RefusalResult> {
  return applyTransition(apiRequest, decide, true);
}

/** Writes the transition that the rule decides, then signals the workflow. */
async function applyTransition(
  apiRequest: ExceptionApiRequest,
  decide: TransitionFunction,
  needsContact = false,
): Promise<HttpResponse | RefusalResult> {
  const store = getStore();
  const result = await loadExceptionFor(apiRequest, needsContact);
  if (!result.ok) return result;
  const { exceptionId } = result.request;
  const { context } = apiRequest;
  const outcome = await transitionException(store, exceptionId, (request) => decide(request, context), context);
  if (outcome === undefined) return notFound('request');
  if (!outcome.ok) return outcome;
  await tryDeliverSignal(store, getWorkflowClient(), exceptionId, apiRequest.now);
  return acceptedResponse(outcome.value, apiRequest.now, store.policy);
}

function acceptedResponse(request: ExceptionRequest, now: ApiRequest<Route>['now'], policy: Policy): HttpResponse {
  return { status: 202, body: exceptionView(request, now, policy) };
}
