import { noticesCorrespondentAt } from '../domain/agreement.ts';
import type { Decision, ExceptionRequest } from '../domain/exception.ts';
import { askOf } from '../domain/exception.ts';
import { limitOf } from '../domain/grant.ts';
import type { Instant } from '../domain/instant.ts';
import type { Decided, Refusal } from '../domain/refusal.ts';
import { refuse } from '../domain/refusal.ts';
import { Secret } from '../domain/secret.ts';
import { findAgreement } from '../store/agreements.ts';
import type { Link } from '../store/approvals.ts';
import { decideByLink, openLink, refusedUnlessGood, unknownLink } from '../store/approvals.ts';
import { findKey } from '../store/keys.ts';
import type { Store } from '../store/table.ts';
import type { FailedAttempt, Page, Question, Recorded } from './approval-page.ts';
import {
  alreadyDecidedPage,
  approvalPageHeaders,
  askPage,
  recordedPage,
  unknownLinkPage,
  voidLinkPage,
} from './approval-page.ts';
import type { Answer, Call, RefusedAs } from './http.ts';
import { fieldErrorsOf, http, jsonFrom } from './http.ts';
import type { Route } from './manifest.ts';
import { signal } from './pass-on.ts';
import { decisionSchema } from './schemas.ts';
import { theEngine } from './the-engine.ts';
import { theStore } from './the-store.ts';

export const handler = http('approvals', {
  'GET /approvals/{token}': async (call) => {
    const store = theStore();
    const opened = await openLink(store, tokenOf(call));
    if (opened === undefined) return unknown(call);
    const { link, request } = opened;
    const no = refusedUnlessGood(store, link, request, call.now);
    if (no !== undefined) return told(call, store, no.refusal, request, 410);
    if (wantsJson(call)) return { status: 200, body: { exception: asked(request), expiresAt: link.expiresAt } };
    return served(200, askPage(await questionOf(store, link, request, call.now, null)));
  },

  'POST /approvals/{token}': async (call) => {
    const store = theStore();
    const token = tokenOf(call);
    const opened = await openLink(store, token);
    if (opened === undefined) return unknown(call);
    const { link, request } = opened;
    const read = fieldsOf(call);
    if (!read.ok) return read;
    const { fields } = read;
    // What became of the question is told before what is wrong with the form.
    const no = refusedUnlessGood(store, link, request, call.now);
    const parsed = decisionSchema.safeParse(fields, { reportInput: true });
    if (no === undefined && !parsed.success) {
      if (wantsJson(call)) {
        const errors = parsed.error.issues.flatMap(fieldErrorsOf);
        return refuse('invalid-request', 'Correct the named fields and send the decision again.', { errors });
      }
      const wrong = parsed.error.issues.map(({ path }) => path[0]);
      const incomplete = (['code', 'decision', 'comment'] as const).filter((field) => wrong.includes(field));
      const attempt = { comment: commentIn(fields), problem: { is: 'incomplete', fields: incomplete } } as const;
      return served(422, askPage(await questionOf(store, link, request, call.now, attempt)));
    }
    if (!parsed.success) return told(call, store, no?.refusal ?? unknownLink().refusal, request, 409);

    const outcome = await decideByLink(store, token, parsed.data, call.now);
    // Also a refusal may have changed the request: too many wrong codes owe a new link.
    await signal(store, theEngine(), request.exceptionId, call.now);
    if (outcome.ok) {
      const decision = decisionOf(outcome.answer);
      if (wantsJson(call)) return { status: 200, body: { decision: decision.decision, decidedAt: decision.at } };
      return served(200, recordedPage(await recordOf(store, outcome.answer)));
    }
    const { refusal } = outcome;
    if (refusal.code !== 'wrong-code') {
      return told(call, store, refusal, (await openLink(store, token))?.request ?? request, 409);
    }
    if (wantsJson(call)) return outcome;
    const problem = { is: 'wrong-code', triesLeft: refusal.triesLeft } as const;
    const attempt = { comment: commentIn(fields), problem };
    return served(422, askPage(await questionOf(store, link, request, call.now, attempt)));
  },
});

type LinkCall = Pick<Call<Route>, 'now' | 'raw'> & { readonly params: { readonly token: string } };

function tokenOf({ params }: LinkCall): Secret {
  return new Secret(params.token, '[token]');
}

/** A browser gets pages; only who asks for JSON and nothing better gets JSON. */
function wantsJson({ raw }: LinkCall): boolean {
  return raw.accept.includes('application/json') && !raw.accept.includes('text/html');
}

/** The fields of the form, or of a JSON object. */
function fieldsOf({ raw }: LinkCall): Decided<{ readonly fields: Readonly<Record<string, unknown>> }> {
  if (raw.contentType.startsWith('application/x-www-form-urlencoded')) {
    return { ok: true, fields: Object.fromEntries(new URLSearchParams(raw.text)) };
  }
  if (!raw.contentType.startsWith('application/json')) {
    return refuse('unsupported-media-type', 'Send the decision as the form of the page does, or as JSON.');
  }
  const read = jsonFrom(raw.text);
  if (!read.ok) return read;
  return { ok: true, fields: typeof read.value === 'object' && read.value !== null ? { ...read.value } : {} };
}

function commentIn(fields: Readonly<Record<string, unknown>>): string {
  return typeof fields['comment'] === 'string' ? fields['comment'] : '';
}

function served(status: number, page: Page): Answer {
  return { status, body: page.html, headers: approvalPageHeaders };
}

function unknown(call: LinkCall): Answer | RefusedAs {
  return wantsJson(call) ? unknownLink() : served(404, unknownLinkPage());
}

/** Tells why a link decides nothing any more, as a page or as a problem. */
async function told(
  call: LinkCall,
  store: Store,
  refusal: Refusal,
  request: ExceptionRequest,
  whenDecided: 409 | 410,
): Promise<Answer | RefusedAs> {
  const decided = refusal.code === 'already-decided';
  if (wantsJson(call)) return { ok: false, refusal, ...(decided ? { status: whenDecided } : {}) };
  if (decided) return served(whenDecided, alreadyDecidedPage(await recordOf(store, request)));
  if (refusal.code !== 'link-void')
    throw new Error(`A link was refused with ${refusal.code}, for which there is no page.`);
  return served(410, voidLinkPage({ because: refusal.because, exceptionId: request.exceptionId }));
}

/** What is asked, for who reads JSON. */
function asked({ exceptionId, intake, activations }: ExceptionRequest) {
  const { kind, organizationName, requester, product, keyLastFive, businessReason, requiredDate } = intake;
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

async function subjectOf(store: Store, { exceptionId, agreementId, intake, activations }: ExceptionRequest) {
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined) throw new Error(`Agreement ${agreementId} of a request has gone; it is never deleted.`);
  const subject = {
    exceptionId,
    kind: intake.kind,
    organizationName: agreement.organization.name,
    requesterName: intake.requester.name,
    productName: store.policy.catalog[intake.product].name,
    lastFive: intake.keyLastFive,
    activations,
  };
  return { agreement, subject };
}

async function questionOf(
  store: Store,
  link: Link,
  request: ExceptionRequest,
  now: Instant,
  attempt: FailedAttempt | null,
): Promise<Question> {
  const [{ agreement, subject }, key] = await Promise.all([subjectOf(store, request), findKey(store, request.keyId)]);
  if (key === undefined) throw new Error(`Key ${request.keyId} of a request has gone; it is never deleted.`);
  const { requester, businessReason, requiredDate } = request.intake;
  const limitNow = limitOf(key.grants);
  return {
    ...subject,
    correspondentName: noticesCorrespondentAt(agreement, now).name,
    requesterEmail: requester.email,
    requesterPhone: requester.phone,
    limitNow,
    limitAfter: limitNow + request.activations,
    businessReason,
    requiredDate,
    askedAt: askOf(request)?.askedAt ?? request.receivedAt,
    expiresAt: link.expiresAt,
    zone: store.policy.supportCalendar.zone,
    code: { is: 'mailed' },
    attempt,
  };
}

async function recordOf(store: Store, request: ExceptionRequest): Promise<Recorded> {
  const { subject } = await subjectOf(store, request);
  const { decision, at } = decisionOf(request);
  return { ...subject, decision, decidedAt: at, zone: store.policy.supportCalendar.zone };
}

function decisionOf(request: ExceptionRequest): Decision {
  const decision = askOf(request)?.decision ?? null;
  if (decision === null) throw new Error(`Request ${request.exceptionId} was told to be decided and is not.`);
  return decision;
}
