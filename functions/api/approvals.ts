import { deputyAt, noticesCorrespondentAt, sameEmail } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { isBefore } from '../../domain/calendar/instant.ts';
import { needsStrictApproval } from '../../domain/exceptions/approval.ts';
import type { ApprovalDecision, ExceptionRequest } from '../../domain/exceptions/request.ts';
import { approvalRoundOf, isFinal } from '../../domain/exceptions/request.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { Refusal, RefusalResult, Result } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { Secret } from '../../domain/secret.ts';
import { renderEmail } from '../../emails/compose.ts';
import type { LinkContext } from '../../store/approval-links.ts';
import {
  decideByLink,
  disputeByLink,
  openLink,
  refuseUnknownLink,
  refuseUnlessLinkValid,
  saveCode,
} from '../../store/approval-links.ts';
import { findKey } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import type { CodeSource, DecisionDetails, InvalidSubmission, Page, RequestSummary } from '../http/approval-page.ts';
import {
  alreadyDecidedPage,
  approvalPage,
  approvalPageHeaders,
  crossSitePage,
  decisionRecordedPage,
  disputePage,
  disputeRecordedPage,
  faultPage,
  unknownLinkPage,
  voidLinkPage,
} from '../http/approval-page.ts';
import { createApiHandler } from '../http/handler.ts';
import { parseJson } from '../http/json.ts';
import type { ApiRequest } from '../http/parse-request.ts';
import { decisionSchema } from '../http/request-schemas.ts';
import type { HttpResponse, RefusalResponse } from '../http/response.ts';
import { fieldErrorsOf } from '../http/validation-errors.ts';
import { emailContextFor } from '../mail/notification-context.ts';
import type { Route } from '../manifest.ts';
import { getMailer } from '../runtime/mailer.ts';
import { countBusinessEvent } from '../runtime/observability.ts';
import { random } from '../runtime/random.ts';
import { getStore } from '../runtime/store.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { recordRejectedNotification } from '../use-cases/record-rejected-notification.ts';
import { tryDeliverSignal } from '../use-cases/signal-workflow.ts';

/** The approval and dispute pages, for the holders of links. */
export const handler = createApiHandler(
  'approvals',
  {
    'GET /approvals/{token}': withLink('decision', showApproval),
    'POST /approvals/{token}': withLink('decision', postDecision),
    'POST /approvals/{token}/codes': withLink('decision', postCode),
    'GET /disputes/{token}': withLink('dispute', showDispute),
    'POST /disputes/{token}': withLink('dispute', postDispute),
  },
  { faultPage: faultPageUnlessJson },
);

type Response = HttpResponse | RefusalResponse;

/** Returns the handler of a link’s route. An unknown link, or a dispute link that expired, gets the page for unknown links. */
function withLink(
  kind: 'decision' | 'dispute',
  handle: (linkContext: LinkContext, apiRequest: LinkRequest) => Promise<Response>,
) {
  return async (apiRequest: LinkRequest): Promise<Response> => {
    if (apiRequest.isCrossSite && apiRequest.route.startsWith('POST ')) return crossSiteResponse(apiRequest);
    const linkContext = await openLink(getStore(), kind, tokenOf(apiRequest));
    const isGone =
      linkContext === undefined || (kind === 'dispute' && !isBefore(apiRequest.now, linkContext.link.expiresAt));
    return isGone ? unknownLinkResponse(apiRequest) : handle(linkContext, apiRequest);
  };
}

/** Shows the request and asks for a decision. Opening the link changes nothing (APR-2). */
async function showApproval(linkContext: LinkContext, apiRequest: LinkRequest): Promise<Response> {
  const store = getStore();
  const voided = refuseUnlessLinkValid(store, linkContext, apiRequest.now);
  if (voided !== undefined) return refusalResponse(apiRequest, store, { refusal: voided.refusal, linkContext }, 410);
  const { link, request } = linkContext;
  if (wantsJson(apiRequest)) {
    return { status: 200, body: { exception: approvalRequestView(request), expiresAt: link.expiresAt } };
  }
  return pageResponse(200, await approvalPageFor(linkContext, apiRequest, { invalidSubmission: null }));
}

/** Records a decision. Only this POST, with the code from the email, decides (APR-2, APR-3). */
async function postDecision(linkContext: LinkContext, apiRequest: LinkRequest): Promise<Response> {
  const store = getStore();
  const form = parseFormFields(apiRequest);
  if (!form.ok) return form;
  // The state of the round is more important to the reader than an error in the form.
  const voided = refuseUnlessLinkValid(store, linkContext, apiRequest.now);
  if (voided !== undefined) return refusalResponse(apiRequest, store, { refusal: voided.refusal, linkContext }, 409);
  const parsed = decisionSchema.safeParse(form.fields, { reportInput: true });
  const comment = commentOf(form.fields);
  if (!parsed.success) {
    const errors = parsed.error.issues.flatMap(fieldErrorsOf);
    const invalid = refuse('invalid-request', 'Correct these fields and send the decision again.', { errors });
    if (wantsJson(apiRequest)) return invalid;
    const invalidFields = parsed.error.issues.map(({ path }) => path[0]);
    const fields = (['code', 'decision', 'comment'] as const).filter((field) => invalidFields.includes(field));
    const invalidSubmission = { comment, problem: { kind: 'incomplete', fields } } as const;
    return refusalPage(invalid, 422, await approvalPageFor(linkContext, apiRequest, { invalidSubmission }));
  }

  const token = tokenOf(apiRequest);
  const outcome = await decideByLink(store, token, parsed.data, apiRequest.now);
  // A refusal can change the request, too: after too many wrong codes a new link is pending.
  await tryDeliverSignal(store, getWorkflowClient(), linkContext.request.exceptionId, apiRequest.now);
  if (outcome.ok) {
    const { decision, at } = decisionOf(outcome.value);
    if (wantsJson(apiRequest)) return { status: 200, body: { decision, decidedAt: at } };
    return pageResponse(
      200,
      decisionRecordedPage(decisionDetailsOf(store, { ...linkContext, request: outcome.value })),
    );
  }
  const { refusal } = outcome;
  if (refusal.code !== 'wrong-code') {
    const after = (await openLink(store, 'decision', token)) ?? linkContext;
    return refusalResponse(apiRequest, store, { refusal, linkContext: after }, 409);
  }
  if (wantsJson(apiRequest)) return outcome;
  const invalidSubmission = { comment, problem: { kind: 'wrong-code', triesLeft: refusal.triesLeft } } as const;
  return refusalPage(outcome, 422, await approvalPageFor(linkContext, apiRequest, { invalidSubmission }));
}

/** Sends a new code in strict mode (APR-7). For a request that is approved without it, the route does not exist. */
async function postCode(linkContext: LinkContext, apiRequest: LinkRequest): Promise<Response> {
  const store = getStore();
  if (!needsStrictApproval(linkContext.request, store.policy)) return unknownLinkResponse(apiRequest);
  const voided = refuseUnlessLinkValid(store, linkContext, apiRequest.now);
  if (voided !== undefined) return refusalResponse(apiRequest, store, { refusal: voided.refusal, linkContext }, 409);
  const sentUntil = await sendCode(store, linkContext, apiRequest.now);
  const codeExpiresAt = sentUntil ?? linkContext.link.code?.expiresAt ?? apiRequest.now;
  if (wantsJson(apiRequest)) return { status: 202, body: { expiresAt: codeExpiresAt } };
  return pageResponse(202, await approvalPageFor(linkContext, apiRequest, { invalidSubmission: null, codeExpiresAt }));
}

async function showDispute(linkContext: LinkContext, apiRequest: LinkRequest): Promise<Response> {
  const details = decisionDetailsOf(getStore(), linkContext);
  const { decision, decidedAt } = details;
  return wantsJson(apiRequest)
    ? { status: 200, body: { decision, decidedAt } }
    : pageResponse(200, disputePage(details));
}

/** Records that the Correspondent did not make the decision (APR-8). */
async function postDispute(linkContext: LinkContext, apiRequest: LinkRequest): Promise<Response> {
  const store = getStore();
  const outcome = await disputeByLink(store, linkContext, apiRequest.now);
  if (outcome === undefined) return unknownLinkResponse(apiRequest);
  if (!outcome.ok) return outcome;
  const { exceptionId } = linkContext.request;
  await tryDeliverSignal(store, getWorkflowClient(), exceptionId, apiRequest.now);
  const frozen = !isFinal(outcome.value);
  if (wantsJson(apiRequest)) return { status: 202, body: { exceptionId, frozen } };
  return pageResponse(202, disputeRecordedPage({ exceptionId, frozen }));
}

type LinkRequest = Pick<ApiRequest<Route>, 'route' | 'now' | 'isCrossSite' | 'rawBody'> & {
  readonly params: { readonly token: string };
};

function tokenOf({ params }: LinkRequest): Secret {
  return new Secret(params.token, '[token]');
}

/** Returns whether the caller asks for JSON and not for HTML. Browsers get pages. */
function wantsJson({ rawBody }: Pick<LinkRequest, 'rawBody'>): boolean {
  return asksForJson(rawBody.accept);
}

function asksForJson(accept: string): boolean {
  return accept.includes('application/json') && !accept.includes('text/html');
}

function faultPageUnlessJson(accept: string, requestId: string) {
  return asksForJson(accept) ? undefined : { html: faultPage({ requestId }).html, headers: approvalPageHeaders };
}

/** Returns the fields of the form, or of a JSON object. Refuses other media types. */
function parseFormFields({ rawBody }: LinkRequest): Result<{ readonly fields: Readonly<Record<string, unknown>> }> {
  if (rawBody.contentType.startsWith('application/x-www-form-urlencoded')) {
    const fields = new URLSearchParams(rawBody.text);
    // A field that comes twice, such as two decisions, has no value that we could choose (APR-4).
    const unambiguous = [...fields].filter(([name]) => fields.getAll(name).length === 1);
    return { ok: true, fields: Object.fromEntries(unambiguous) };
  }
  if (!rawBody.contentType.startsWith('application/json')) {
    return refuse('unsupported-media-type', 'Send the decision as a form, as the page does, or as JSON.');
  }
  const parsedJson = parseJson(rawBody.text);
  if (!parsedJson.ok) return parsedJson;
  return {
    ok: true,
    fields: typeof parsedJson.value === 'object' && parsedJson.value !== null ? { ...parsedJson.value } : {},
  };
}

function commentOf(fields: Readonly<Record<string, unknown>>): string {
  return typeof fields.comment === 'string' ? fields.comment : '';
}

function pageResponse(status: number, page: Page): HttpResponse {
  return { status, body: page.html, headers: approvalPageHeaders };
}

/** Returns a refusal as a page. It is logged and counted by its code like every refusal. */
function refusalPage(refusal: RefusalResult, status: number, page: Page): RefusalResponse {
  return { ...refusal, status, page: { html: page.html, headers: approvalPageHeaders } };
}

/** Refuses a form that another website sent (APR-5). */
function crossSiteResponse(apiRequest: LinkRequest): RefusalResponse {
  const refusal = refuse(
    'forbidden',
    'Another website sent this form, so nothing was changed. Open the link in our email, and answer there.',
  );
  return wantsJson(apiRequest) ? refusal : refusalPage(refusal, 403, crossSitePage());
}

function unknownLinkResponse(apiRequest: LinkRequest): RefusalResponse {
  return wantsJson(apiRequest) ? refuseUnknownLink() : refusalPage(refuseUnknownLink(), 404, unknownLinkPage());
}

/** Returns the refusal of a link that can no longer decide, as a page or as a problem document. */
function refusalResponse(
  apiRequest: LinkRequest,
  store: Store,
  { refusal, linkContext }: { readonly refusal: Refusal; readonly linkContext: LinkContext },
  decidedStatus: 409 | 410,
): RefusalResponse {
  const result: RefusalResult = { ok: false, refusal };
  const isDecided = refusal.code === 'already-decided';
  if (wantsJson(apiRequest)) return isDecided ? { ...result, status: decidedStatus } : result;
  if (isDecided) return refusalPage(result, decidedStatus, alreadyDecidedPage(decisionDetailsOf(store, linkContext)));
  if (refusal.code !== 'link-void') {
    throw new Error(`No page exists for a link that is refused with ${refusal.code}.`);
  }
  return refusalPage(
    result,
    410,
    voidLinkPage({ because: refusal.because, exceptionId: linkContext.request.exceptionId }),
  );
}

const strictCodeDigits = 8;

/**
 * Emails a new code to the recipient of the link (APR-7). Returns when it expires, or undefined when a code was sent just
 * before.
 */
async function sendCode(
  store: Store,
  { link, request, agreement }: LinkContext,
  now: Instant,
): Promise<Instant | undefined> {
  const code = random.code(strictCodeDigits);
  const expiresAt = await saveCode(store, link, code, now);
  if (expiresAt === undefined) return undefined;
  const key = await loadKey(store, request);
  const isDeputy = !sameEmail(link.to, noticesCorrespondentAt(agreement, now).email);
  const recipient = isDeputy ? deputyAt(agreement, now, store.policy) : noticesCorrespondentAt(agreement, now);
  const codeLink = { url: new Secret('', '[link]'), code, expiresAt };
  const subject = { request, now, agreement, key };
  const to = isDeputy ? 'deputy' : 'correspondent';
  const mail = renderEmail(
    'approval-code',
    emailContextFor(store, subject, { to, name: recipient?.name ?? link.to }, codeLink),
  );
  if (mail === undefined) return expiresAt;
  const result = await getMailer().send(mail, link.to, { tags: { notification: 'approval-code' } });
  if (result.sent) {
    countBusinessEvent('notifications', 'approval-code');
  } else {
    const notificationId = `approval-code ${expiresAt}`;
    await recordRejectedNotification(store, subject, {
      notificationId,
      kind: 'approval-code',
      to,
      because: result.because,
    });
  }
  return expiresAt;
}

/** Returns the request as JSON callers see it. */
function approvalRequestView({ exceptionId, form, activations }: ExceptionRequest) {
  const { kind, organizationName, requester, product, keyLastFive, businessReason, requiredDate } = form;
  return {
    exceptionId,
    kind,
    organizationName,
    requester,
    product,
    keyLastFive,
    activations,
    businessReason,
    requiredDate,
  };
}

function requestSummaryOf(store: Store, { request, agreement }: LinkContext): RequestSummary {
  const { exceptionId, form, activations } = request;
  return {
    exceptionId,
    kind: form.kind,
    organizationName: agreement.organization.name,
    requesterName: form.requester.name,
    productName: store.policy.catalog[form.product].name,
    lastFive: form.keyLastFive,
    activations,
  };
}

/** Returns the page that shows the request and asks for the decision. */
async function approvalPageFor(
  linkContext: LinkContext,
  { now, params }: LinkRequest,
  {
    invalidSubmission,
    codeExpiresAt,
  }: { readonly invalidSubmission: InvalidSubmission | null; readonly codeExpiresAt?: Instant },
): Promise<Page> {
  const store = getStore();
  const { link, request, agreement } = linkContext;
  const key = await loadKey(store, request);
  const { requester, businessReason, requiredDate } = request.form;
  const limitNow = limitOf(key.grants);
  const { strictCodeMinutes: goodForMinutes } = store.policy.approval;
  // Both addresses are relative to the page with the form.
  const code: CodeSource =
    codeExpiresAt !== undefined
      ? { kind: 'sent', decisionAddress: `../${params.token}`, goodForMinutes, goodUntil: codeExpiresAt }
      : needsStrictApproval(request, store.policy)
        ? { kind: 'on-demand', codesAddress: `./${params.token}/codes`, goodForMinutes }
        : { kind: 'emailed' };
  return approvalPage({
    ...requestSummaryOf(store, linkContext),
    correspondentName: noticesCorrespondentAt(agreement, now).name,
    requesterEmail: requester.email,
    requesterPhone: requester.phone,
    limitNow,
    limitAfter: limitNow + request.activations,
    businessReason,
    requiredDate,
    askedAt: approvalRoundOf(request)?.askedAt ?? request.receivedAt,
    expiresAt: link.expiresAt,
    zone: store.policy.supportCalendar.zone,
    code,
    invalidSubmission,
  });
}

async function loadKey(store: Store, { keyId }: ExceptionRequest): Promise<Key> {
  const key = await findKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} of a request is missing. Keys are never deleted.`);
  return key;
}

function decisionDetailsOf(store: Store, linkContext: LinkContext): DecisionDetails {
  const { decision, at } = decisionOf(linkContext.request);
  return { ...requestSummaryOf(store, linkContext), decision, decidedAt: at, zone: store.policy.supportCalendar.zone };
}

function decisionOf(request: ExceptionRequest): ApprovalDecision {
  const decision = approvalRoundOf(request)?.decision ?? null;
  if (decision === null) throw new Error(`Request ${request.exceptionId} has no decision.`);
  return decision;
}
