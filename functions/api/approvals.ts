import { deputyAt, noticesCorrespondentAt, sameEmail } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { isBefore } from '../../domain/calendar/instant.ts';
import type { Decision, ExceptionRequest } from '../../domain/exceptions/request.ts';
import { askOf, isFinal } from '../../domain/exceptions/request.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import type { Decided, Refusal, Refused } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import { Secret } from '../../domain/secret.ts';
import { compose } from '../../emails/compose.ts';
import type { Opened } from '../../store/approval-links.ts';
import {
  decideByLink,
  disputeByLink,
  keepCode,
  openLink,
  refusedUnlessGood,
  unknownLink,
} from '../../store/approval-links.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { findKey } from '../../store/keys.ts';
import type { CodeSource, FailedAttempt, Page, Question, Recorded, Subject } from '../http/approval-page.ts';
import {
  alreadyDecidedPage,
  approvalPageHeaders,
  askPage,
  disputedPage,
  disputePage,
  faultPage,
  recordedPage,
  unknownLinkPage,
  voidLinkPage,
} from '../http/approval-page.ts';
import type { Answer, Call, RefusedAs } from '../http/handler.ts';
import { fieldErrorsOf, http, jsonFrom } from '../http/handler.ts';
import { decisionSchema } from '../http/request-schemas.ts';
import type { Route } from '../manifest.ts';
import { world } from '../runtime/clock.ts';
import { theMail } from '../runtime/mailer.ts';
import { count } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';
import { theEngine } from '../runtime/workflow-client.ts';
import { factsFor, recordRefusedLetter } from '../use-cases/send-request-notifications.ts';
import { signal } from '../use-cases/signal-workflow.ts';

export const handler = http(
  'approvals',
  {
    'GET /approvals/{token}': async (call) => {
      const store = theStore();
      const opened = await openLink(store, 'decision', tokenOf(call));
      if (opened === undefined) return unknown(call);
      const no = refusedUnlessGood(store, opened, call.now);
      if (no !== undefined) return told(call, store, { refusal: no.refusal, opened }, 410);
      const { link, request } = opened;
      if (wantsJson(call)) return { status: 200, body: { exception: asked(request), expiresAt: link.expiresAt } };
      return served(200, askPage(await questionOf(store, opened, call, { attempt: null })));
    },

    'POST /approvals/{token}': async (call) => {
      const store = theStore();
      const token = tokenOf(call);
      const opened = await openLink(store, 'decision', token);
      if (opened === undefined) return unknown(call);
      const sent = fieldsOf(call);
      if (!sent.ok) return sent;
      const { fields } = sent;
      // What became of the question is told before what is wrong with the form.
      const no = refusedUnlessGood(store, opened, call.now);
      if (no !== undefined) return told(call, store, { refusal: no.refusal, opened }, 409);
      const parsed = decisionSchema.safeParse(fields, { reportInput: true });
      if (!parsed.success) {
        const errors = parsed.error.issues.flatMap(fieldErrorsOf);
        const invalid = refuse('invalid-request', 'Correct the named fields and send the decision again.', { errors });
        if (wantsJson(call)) return invalid;
        const wrong = parsed.error.issues.map(({ path }) => path[0]);
        const incomplete = (['code', 'decision', 'comment'] as const).filter((field) => wrong.includes(field));
        const attempt = { comment: commentIn(fields), problem: { is: 'incomplete', fields: incomplete } } as const;
        return refusedOn(invalid, 422, askPage(await questionOf(store, opened, call, { attempt })));
      }

      const outcome = await decideByLink(store, token, parsed.data, call.now);
      // Also a refusal may have changed the request: too many wrong codes owe a new link.
      await signal(store, theEngine(), opened.request.exceptionId, call.now);
      if (outcome.ok) {
        const decision = decisionOf(outcome.answer);
        if (wantsJson(call)) return { status: 200, body: { decision: decision.decision, decidedAt: decision.at } };
        return served(200, recordedPage(recordOf(store, { ...opened, request: outcome.answer })));
      }
      const { refusal } = outcome;
      if (refusal.code !== 'wrong-code') {
        const after = (await openLink(store, 'decision', token)) ?? opened;
        return told(call, store, { refusal, opened: after }, 409);
      }
      if (wantsJson(call)) return outcome;
      const problem = { is: 'wrong-code', triesLeft: refusal.triesLeft } as const;
      const attempt = { comment: commentIn(fields), problem };
      return refusedOn(outcome, 422, askPage(await questionOf(store, opened, call, { attempt })));
    },

    'POST /approvals/{token}/codes': async (call) => {
      const store = theStore();
      const opened = await openLink(store, 'decision', tokenOf(call));
      if (opened === undefined || !store.policy.approval.strict) return unknown(call);
      const no = refusedUnlessGood(store, opened, call.now);
      if (no !== undefined) return told(call, store, { refusal: no.refusal, opened }, 409);
      const goodUntil = (await mailCode(store, opened, call.now)) ?? opened.link.code?.expiresAt ?? call.now;
      if (wantsJson(call)) return { status: 202, body: { expiresAt: goodUntil } };
      return served(202, askPage(await questionOf(store, opened, call, { attempt: null, codeGoodUntil: goodUntil })));
    },

    'GET /disputes/{token}': async (call) => {
      const store = theStore();
      const opened = await openLink(store, 'dispute', tokenOf(call));
      if (opened === undefined || !isBefore(call.now, opened.link.expiresAt)) return unknown(call);
      const record = recordOf(store, opened);
      if (wantsJson(call)) return { status: 200, body: { decision: record.decision, decidedAt: record.decidedAt } };
      return served(200, disputePage(record));
    },

    'POST /disputes/{token}': async (call) => {
      const store = theStore();
      const opened = await openLink(store, 'dispute', tokenOf(call));
      if (opened === undefined || !isBefore(call.now, opened.link.expiresAt)) return unknown(call);
      const outcome = await disputeByLink(store, opened, call.now);
      if (outcome === undefined) return unknown(call);
      if (!outcome.ok) return outcome;
      await signal(store, theEngine(), opened.request.exceptionId, call.now);
      const { exceptionId } = opened.request;
      const frozen = !isFinal(outcome.answer);
      if (wantsJson(call)) return { status: 202, body: { exceptionId, frozen } };
      return served(202, disputedPage({ exceptionId, frozen }));
    },
  },
  whenFaulty,
);

type LinkCall = Pick<Call<Route>, 'now' | 'raw'> & { readonly params: { readonly token: string } };

function tokenOf({ params }: LinkCall): Secret {
  return new Secret(params.token, '[token]');
}

/** A browser gets pages; only who asks for JSON and nothing better gets JSON. */
function wantsJson({ raw }: Pick<LinkCall, 'raw'>): boolean {
  return asksForJson(raw.accept);
}

function asksForJson(accept: string): boolean {
  return accept.includes('application/json') && !accept.includes('text/html');
}

function whenFaulty(accept: string, requestId: string) {
  return asksForJson(accept) ? undefined : { html: faultPage({ requestId }).html, headers: approvalPageHeaders };
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
  return typeof fields.comment === 'string' ? fields.comment : '';
}

function served(status: number, page: Page): Answer {
  return { status, body: page.html, headers: approvalPageHeaders };
}

/** A refusal as a page; it is logged and counted by its code as any other is. */
function refusedOn(no: Refused, status: number, page: Page): RefusedAs {
  return { ...no, status, page: { html: page.html, headers: approvalPageHeaders } };
}

function unknown(call: LinkCall): RefusedAs {
  return wantsJson(call) ? unknownLink() : refusedOn(unknownLink(), 404, unknownLinkPage());
}

/** Tells why a link decides nothing any more, as a page or as a problem. */
function told(
  call: LinkCall,
  store: Store,
  { refusal, opened }: { readonly refusal: Refusal; readonly opened: Opened },
  whenDecided: 409 | 410,
): RefusedAs {
  const no: Refused = { ok: false, refusal };
  const decided = refusal.code === 'already-decided';
  if (wantsJson(call)) return decided ? { ...no, status: whenDecided } : no;
  if (decided) return refusedOn(no, whenDecided, alreadyDecidedPage(recordOf(store, opened)));
  if (refusal.code !== 'link-void') {
    throw new Error(`A link was refused with ${refusal.code}, for which there is no page.`);
  }
  return refusedOn(no, 410, voidLinkPage({ because: refusal.because, exceptionId: opened.request.exceptionId }));
}

const strictCodeDigits = 8;

/** Mails a fresh code to whom the link was mailed (APR-7). Answers until when it is good; `undefined` when one went out just now. */
async function mailCode(
  store: Store,
  { link, request, agreement }: Opened,
  now: Instant,
): Promise<Instant | undefined> {
  const code = world.code(strictCodeDigits);
  const expiresAt = await keepCode(store, link, code, now);
  if (expiresAt === undefined) return undefined;
  const key = await keyOf(store, request);
  const isDeputy = !sameEmail(link.to, noticesCorrespondentAt(agreement, now).email);
  const reader = isDeputy ? deputyAt(agreement, now, store.policy) : noticesCorrespondentAt(agreement, now);
  const codeLink = { url: new Secret('', '[link]'), code, expiresAt };
  const about = { request, now, agreement, key };
  const to = isDeputy ? 'deputy' : 'correspondent';
  const mail = compose('approval-code', factsFor(store, about, { to, name: reader?.name ?? link.to }, codeLink));
  if (mail === undefined) return expiresAt;
  const sent = await theMail().send(mail, link.to, { tags: { letter: 'approval-code' } });
  if (sent.sent) {
    count('letters', 'approval-code');
  } else {
    const letterId = `approval-code ${expiresAt}`;
    await recordRefusedLetter(store, about, { letterId, kind: 'approval-code', to, because: sent.because });
  }
  return expiresAt;
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

function subjectOf(store: Store, { request, agreement }: Opened): Subject {
  const { exceptionId, intake, activations } = request;
  return {
    exceptionId,
    kind: intake.kind,
    organizationName: agreement.organization.name,
    requesterName: intake.requester.name,
    productName: store.policy.catalog[intake.product].name,
    lastFive: intake.keyLastFive,
    activations,
  };
}

async function questionOf(
  store: Store,
  opened: Opened,
  { now, params }: LinkCall,
  { attempt, codeGoodUntil }: { readonly attempt: FailedAttempt | null; readonly codeGoodUntil?: Instant },
): Promise<Question> {
  const { link, request, agreement } = opened;
  const key = await keyOf(store, request);
  const { requester, businessReason, requiredDate } = request.intake;
  const limitNow = limitOf(key.grants);
  const { strict, strictCodeMinutes: goodForMinutes } = store.policy.approval;
  // Both addresses are relative to the page that carries the form.
  const code: CodeSource =
    codeGoodUntil !== undefined
      ? { is: 'sent', decisionAddress: `../${params.token}`, goodForMinutes, goodUntil: codeGoodUntil }
      : strict
        ? { is: 'on-demand', codesAddress: `./${params.token}/codes`, goodForMinutes }
        : { is: 'mailed' };
  return {
    ...subjectOf(store, opened),
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
    code,
    attempt,
  };
}

async function keyOf(store: Store, { keyId }: ExceptionRequest): Promise<Key> {
  const key = await findKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} of a request has gone; keys are never deleted.`);
  return key;
}

function recordOf(store: Store, opened: Opened): Recorded {
  const { decision, at } = decisionOf(opened.request);
  return { ...subjectOf(store, opened), decision, decidedAt: at, zone: store.policy.supportCalendar.zone };
}

function decisionOf(request: ExceptionRequest): Decision {
  const decision = askOf(request)?.decision ?? null;
  if (decision === null) throw new Error(`Request ${request.exceptionId} was told to be decided and is not.`);
  return decision;
}
