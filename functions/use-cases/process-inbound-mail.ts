import type { Agreement } from '../../domain/agreement.ts';
import { findContact, sameEmail } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Context } from '../../domain/context.ts';
import { extractReplyText } from '../../domain/exceptions/reply-text.ts';
import type { ParsedRequestForm, RequestFormResult } from '../../domain/exceptions/request-form.ts';
import { labelOfPointer, parseRequestForm, toFormLines, toRequestBody } from '../../domain/exceptions/request-form.ts';
import { answerQuestion } from '../../domain/exceptions/review.ts';
import { exceptionKindOf } from '../../domain/keys/key.ts';
import type { FieldError } from '../../domain/refusal.ts';
import type { ExceptionKind } from '../../domain/remedy.ts';
import type { InboundReply } from '../../emails/inbound-replies.ts';
import { renderInboundReply } from '../../emails/inbound-replies.ts';
import { findAgreement, listAgreements } from '../../store/agreements.ts';
import { findException, transitionException } from '../../store/exceptions.ts';
import { claimIdempotencyKey, completeIdempotencyKey, releaseIdempotencyKey } from '../../store/idempotency.ts';
import { consumeReplyQuota } from '../../store/inbound-mail.ts';
import { listKeysByLastFive } from '../../store/keys.ts';
import type { Store } from '../../store/store.ts';
import { fingerprintOf } from '../../store/vault.ts';
import type { WorkflowClient } from '../../workflows/client.ts';
import { accessTo } from '../http/caller.ts';
import { bodies, requestFormSchema } from '../http/request-schemas.ts';
import { fieldErrorsOf } from '../http/validation-errors.ts';
import type { ParsedMessage } from '../mail/mime.ts';
import { mailBytesMax, messageHeaderOf, parseMessage } from '../mail/mime.ts';
import { parseReplyAddress } from '../mail/reply-address.ts';
import type { Mailer } from '../runtime/mailer.ts';
import { logger } from '../runtime/observability.ts';
import { tryDeliverSignal } from './signal-workflow.ts';
import { submitRequest } from './submit-request.ts';

/** An email as SES received and stored it. */
export type InboundMessage = {
  readonly raw: Buffer;
  /** False if the email is too large: then `raw` has only its beginning. */
  readonly isComplete: boolean;
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  /** True if SPF, DKIM, and DMARC passed, so that the domain in the header `From` is the real sender's. */
  readonly isVerified: boolean;
};

type Dependencies = { readonly store: Store; readonly workflowClient: WorkflowClient; readonly mailer: Mailer };

/** The result for the log. It holds neither the content nor the sender. */
export type IntakeResult =
  | { readonly kind: 'ignored'; readonly because: 'unreadable' | 'ambiguous-sender' | 'automatic' | 'duplicate' }
  | { readonly kind: 'not-accepted'; readonly logId: string }
  | { readonly kind: 'too-large' | 'incomplete' | 'answer-unreadable'; readonly logId: string }
  | { readonly kind: 'refused'; readonly logId: string; readonly code: string }
  | {
      readonly kind: 'accepted' | 'answer-accepted' | 'answer-not-expected';
      readonly logId: string;
      readonly exceptionId: string;
    };

/** Longer than mail servers keep retrying a delivery, which is about five days. */
const deduplicationHours = 14 * 24;
/** Waits a few seconds in all for a copy of the same email that is being processed. */
const retryLimit = 10;
/** The most replies to one address in a day. People send a few emails, a mail loop sends thousands. */
const repliesPerDayMax = 50;
/** A lower limit for unverified email. It is above 1 so that a sender who fixes the setup and retries gets a reply. */
const unverifiedRepliesPerDayMax = 3;

/**
 * Processes an email to the exceptions address. It ignores automatic email without a reply, so that no mail loop can
 * start, and every further copy of an email, however it was delivered. Otherwise:
 *
 * - An unverified email creates nothing. The service sends the same fixed reply a few times a day, and only to an address
 *   that an agreement names: anybody else would get our email because of a forger.
 * - An email to the reply address of a question answers that question (EXC-14).
 * - Any other email is a request (EXC-13).
 *
 * Throws on a transient failure. A repeated call completes what is left.
 */
export async function processInboundMail(
  inboundMessage: InboundMessage,
  dependencies: Dependencies,
  now: Instant,
): Promise<IntakeResult> {
  const { raw, isComplete, envelope } = inboundMessage;
  const parsed = await parseMessage(isComplete ? raw : messageHeaderOf(raw));
  if (parsed === 'unreadable') return { kind: 'ignored', because: 'unreadable' };
  const { from } = parsed;
  if (from === null) return { kind: 'ignored', because: 'ambiguous-sender' };
  const { addresses } = dependencies.mailer;
  const isBounce = /^(?:<?>?|mailer-daemon(?:@.*)?)$/i.test(envelope.from.trim());
  const ownAddresses = [addresses.MAIL_INBOUND, addresses.MAIL_FROM].map(bareAddress);
  if (parsed.isAutomatic || isBounce || ownAddresses.some((ownAddress) => sameEmail(ownAddress, from))) {
    return { kind: 'ignored', because: 'automatic' };
  }

  const operationId = fingerprintOf(JSON.stringify(['mail', ...parsed.identity])).slice(0, 32);
  const { store } = dependencies;
  const context = { actor: from, operationId, now, policy: store.policy };
  const idempotencyKey = { caller: 'inbound-mail', key: operationId, fingerprint: operationId };
  let claim = await claimIdempotencyKey(store, idempotencyKey, now, deduplicationHours);
  // If two copies arrive at once, the second waits until the first is processed.
  for (let retry = 1; claim.kind === 'in-progress' && retry <= retryLimit; retry += 1) {
    await store.backOff(retry);
    claim = await claimIdempotencyKey(store, idempotencyKey, now, deduplicationHours);
  }
  if (claim.kind === 'in-progress') throw new Error('A copy of this email is still being processed.');
  if (claim.kind !== 'claimed') return { kind: 'ignored', because: 'duplicate' };
  try {
    const result = await routeMessage({ ...inboundMessage, ...parsed, from, operationId }, dependencies, context);
    await completeIdempotencyKey(store, idempotencyKey, { status: 200, headers: {}, body: result.kind });
    return result;
  } catch (error) {
    await releaseIdempotencyKey(store, idempotencyKey).catch((cause: unknown) =>
      logger.error('message claim not released', { operationId, cause }),
    );
    throw error;
  }
}

/** Returns the address without the display name. */
function bareAddress(address: string): string {
  return /<([^<>]+)>\s*$/.exec(address)?.[1] ?? address;
}

type IdentifiedMessage = InboundMessage & ParsedMessage & { readonly from: string; readonly operationId: string };

async function routeMessage(
  message: IdentifiedMessage,
  dependencies: Dependencies,
  context: Context,
): Promise<IntakeResult> {
  const logId = logIdOf(message);
  const { store, mailer } = dependencies;
  if (!message.isVerified) {
    const agreements = await listAgreements(store, message.from, { limit: 1, after: null });
    const quota = { category: 'unverified', address: message.from, repliesMax: unverifiedRepliesPerDayMax };
    if (agreements.items.length > 0 && (await consumeReplyQuota(store, quota, context.now))) {
      await rejectMessage(message, dependencies, context);
    }
    return { kind: 'not-accepted', logId };
  }
  if (!message.isComplete) {
    const content = { kind: 'too-large', megabytesMax: mailBytesMax / 1024 / 1024 } as const;
    await sendReply(message, dependencies, { content }, context);
    return { kind: 'too-large', logId };
  }
  const { MAIL_INBOUND } = mailer.addresses;
  const targets = message.envelope.to.map((address) => parseReplyAddress(address, MAIL_INBOUND, store.vault));
  const replyTarget = targets.find((target) => target.kind === 'request');
  if (replyTarget !== undefined) return submitAnswer(message, replyTarget.exceptionId, dependencies, context);
  if (targets.some(({ kind }) => kind === 'forged')) return rejectMessage(message, dependencies, context);
  return submitMailedRequest(message, dependencies, context);
}

/** Returns the id of an email in the log and in the reply to it, so that one leads to the other. */
function logIdOf({ operationId }: IdentifiedMessage): string {
  return `email ${operationId.slice(0, 8)}`;
}

async function rejectMessage(
  message: IdentifiedMessage,
  dependencies: Dependencies,
  context: Context,
): Promise<IntakeResult> {
  await sendReply(message, dependencies, { content: { kind: 'not-accepted' } }, context);
  return { kind: 'not-accepted', logId: logIdOf(message) };
}

/** Replies to the sender only, whatever address the email names for replies. */
async function sendReply(
  message: IdentifiedMessage,
  { store, mailer }: Dependencies,
  reply: { readonly content: InboundReply; readonly name?: string | undefined; readonly reference?: string },
  { now }: Pick<Context, 'now'>,
): Promise<void> {
  const { from, operationId } = message;
  const quota = { category: 'any', address: from, repliesMax: repliesPerDayMax };
  if (!(await consumeReplyQuota(store, quota, now))) {
    logger.warn('reply limit reached', { operationId });
    return;
  }
  const { MAIL_INBOUND: inbound } = mailer.addresses;
  const { content, name = null, reference = logIdOf(message) } = reply;
  const result = await mailer.send(renderInboundReply(content, { name, inbound, reference }), from, {
    // The tags name no request: a delivery event of this email changes nothing.
    tags: { reply: content.kind },
    replyTo: inbound,
  });
  if (!result.sent) logger.error('reply rejected', { operationId, reply: content.kind, because: result.because });
}

/** Submits the request in an email (EXC-13). Replies only if the request is incomplete or refused. */
async function submitMailedRequest(
  message: IdentifiedMessage,
  dependencies: Dependencies,
  context: Context,
): Promise<IntakeResult> {
  const logId = logIdOf(message);
  const { store, workflowClient } = dependencies;
  const formResult = parseRequestForm(message, store.policy);
  const { requester } = formResult.form;
  if (requester.email !== undefined && !sameEmail(requester.email, message.from)) {
    return rejectMessage(message, dependencies, context);
  }

  const caller = { email: message.from, roles: [] };
  const sender = {
    maySpeakFor: (agreement: Agreement) => accessTo(agreement, caller, ['customer'], context.now) === 'open',
  };
  const kind = formResult.form.kind ?? (await inferRequestKind(store, formResult.form, sender.maySpeakFor));
  const validation = requestFormSchema.safeParse(toRequestBody({ ...formResult.form, kind }));
  const fieldErrors = mergeFieldErrors(
    formResult,
    validation.success ? [] : validation.error.issues.flatMap(fieldErrorsOf),
  );
  const reply = (content: InboundReply) => sendReply(message, dependencies, { content, name: requester.name }, context);
  const replyIncomplete = async (errors: readonly FieldError[]): Promise<IntakeResult> => {
    await reply({
      kind: 'incomplete',
      form: toFormLines(formResult),
      validationErrors: errors.map(({ pointer, message: text }) => ({ label: labelOfPointer(pointer), message: text })),
      quotedTextRemoved: formResult.quotedTextRemoved,
    });
    return { kind: 'incomplete', logId };
  };
  if (!validation.success || fieldErrors.length > 0) return replyIncomplete(fieldErrors);

  const submission = await submitRequest(store, workflowClient, { form: validation.data, sender }, context);
  // No reply here: the notification that acknowledges every request has its id and due time.
  if (submission.ok) return { kind: 'accepted', logId, exceptionId: submission.request.exceptionId };
  const { refusal } = submission;
  if (refusal.code === 'invalid-request') return replyIncomplete(refusal.errors);
  await reply({ kind: 'refused', detail: refusal.detail, form: toFormLines(formResult) });
  return { kind: 'refused', logId, code: refusal.code };
}

/**
 * Infers the kind of a request that does not name one from the key, if the sender may see the key. For any other key the
 * kind has no effect: the request is refused before its kind is used.
 */
async function inferRequestKind(
  store: Store,
  { agreementNumber, authorizationNumber, licenseNumber, keyLastFive }: ParsedRequestForm,
  maySpeakFor: (agreement: Agreement) => boolean,
): Promise<ExceptionKind> {
  const agreementId = agreementNumber ?? `${authorizationNumber ?? ''}-${licenseNumber ?? ''}`;
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined || keyLastFive === undefined || !maySpeakFor(agreement)) return 'MAKADD';
  const page = await listKeysByLastFive(store, keyLastFive.toUpperCase(), agreementId, { limit: 1, after: null });
  const [key] = page.items;
  return key === undefined ? 'MAKADD' : exceptionKindOf(key.value.type);
}

/** Returns one error for each field, in the order of the form. Errors of the form parser replace errors of the schema. */
function mergeFieldErrors(
  { errors: formErrors, rawValues }: RequestFormResult,
  schemaErrors: readonly FieldError[],
): readonly FieldError[] {
  const hasFormError = ({ pointer }: FieldError) => formErrors.some((formError) => formError.pointer === pointer);
  const errors = [...formErrors, ...schemaErrors.filter((error) => !hasFormError(error))];
  const labels = toFormLines({ rawValues }).map(({ label }) => label);
  const positionOf = ({ pointer }: FieldError) => labels.indexOf(labelOfPointer(pointer));
  return errors.toSorted((one, other) => positionOf(one) - positionOf(other));
}

/** Answers the open question of a request with the text of an email (EXC-14), and replies with the result. */
async function submitAnswer(
  message: IdentifiedMessage,
  exceptionId: string,
  dependencies: Dependencies,
  context: Context,
): Promise<IntakeResult> {
  const logId = logIdOf(message);
  const { store, workflowClient } = dependencies;
  const request = await findException(store, exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  const contact = agreement === undefined ? undefined : findContact(message.from, agreement);
  if (request === undefined || contact === undefined) return rejectMessage(message, dependencies, context);

  const reply = (content: InboundReply) =>
    sendReply(message, dependencies, { content, name: contact.name, reference: exceptionId }, context);
  const replyText = extractReplyText(message.text);
  const validation = bodies['POST /exceptions/{exceptionId}/answers'].safeParse({ text: replyText.text });
  if (!validation.success) {
    const problem = validation.error.issues[0]?.message ?? 'could not be read';
    await reply({
      kind: 'answer-unreadable',
      message: problem,
      quotedTextRemoved: replyText.quotedTextRemoved,
    });
    return { kind: 'answer-unreadable', logId };
  }
  const { text } = validation.data;
  const result = await transitionException(
    store,
    exceptionId,
    (current) => answerQuestion(current, text, context),
    context,
  );
  if (result === undefined) return rejectMessage(message, dependencies, context);
  if (!result.ok) {
    const current = await findException(store, exceptionId);
    const { status } = (current ?? request).state;
    await reply({ kind: 'answer-not-expected', status });
    return { kind: 'answer-not-expected', logId, exceptionId };
  }
  await tryDeliverSignal(store, workflowClient, exceptionId, context.now);
  await reply({ kind: 'answer-accepted', request: result.value, policy: store.policy });
  return { kind: 'answer-accepted', logId, exceptionId };
}
