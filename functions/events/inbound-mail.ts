import * as z from 'zod';
import { findContact, sameEmail } from '../../domain/agreement.ts';
import type { Context } from '../../domain/context.ts';
import { answerQuestion } from '../../domain/exceptions/request.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { exceptionKindOf } from '../../domain/keys/key.ts';
import type { ParsedRequestForm, RequestFormResult } from '../../domain/exceptions/request-form.ts';
import { toRequestBody, toFormLines, labelOfPointer, parseRequestForm } from '../../domain/exceptions/request-form.ts';
import { extractReplyText } from '../../domain/exceptions/reply-text.ts';
import type { FieldError } from '../../domain/refusal.ts';
import type { ExceptionKind } from '../../domain/remedy.ts';
import type { InboundReply } from '../../emails/inbound-replies.ts';
import { renderInboundReply } from '../../emails/inbound-replies.ts';
import { listAgreements, findAgreement } from '../../store/agreements.ts';
import { findException, transitionException } from '../../store/exceptions.ts';
import { releaseIdempotencyKey, claimIdempotencyKey, completeIdempotencyKey } from '../../store/idempotency.ts';
import type { InboundMailStore } from '../../store/inbound-mail.ts';
import { consumeReplyQuota, createInboundMailStore } from '../../store/inbound-mail.ts';
import { listKeysByLastFive } from '../../store/keys.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { fingerprintOf } from '../../store/vault.ts';
import type { WorkflowClient } from '../../workflows/client.ts';
import { accessTo } from '../http/caller.ts';
import { inboundMailEnvironment } from '../environment.ts';
import { fieldErrorsOf } from '../http/handler.ts';
import { inboundMailPrefix } from '../manifest.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { tryDeliverSignal } from '../use-cases/signal-workflow.ts';
import type { ParsedMessage } from '../mail/mime.ts';
import { messageHeaderOf, mailBytesMax, parseMessage } from '../mail/mime.ts';
import { parseReplyAddress } from '../mail/reply-address.ts';
import { bodies, requestFormSchema } from '../http/request-schemas.ts';
import { submitRequest } from '../use-cases/submit-request.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import type { Mailer } from '../runtime/mailer.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { runtime } from '../runtime/clock.ts';

const verdictSchema = z.object({ status: z.string() });

/** What SES tells of a mail that it has taken and stored: as much of it as is looked at. */
const sesEventSchema = z.object({
  Records: z
    .array(
      z.object({
        ses: z.object({
          mail: z.object({ messageId: z.string().regex(/^[\w.-]+$/), source: z.string().default('') }),
          receipt: z.object({
            recipients: z.array(z.string()),
            spfVerdict: verdictSchema,
            dkimVerdict: verdictSchema,
            dmarcVerdict: verdictSchema.optional(),
            spamVerdict: verdictSchema.optional(),
            virusVerdict: verdictSchema.optional(),
          }),
        }),
      }),
    )
    .min(1),
});

/** Reads each mail that SES tells of from where SES has put it, and does what is asked in it (EXC-13, EXC-14). */
export const handler = async (event: unknown): Promise<void> => {
  for (const { ses } of sesEventSchema.parse(event).Records) {
    const { messageId, source } = ses.mail;
    const { recipients, spfVerdict, dkimVerdict, dmarcVerdict, spamVerdict, virusVerdict } = ses.receipt;
    try {
      const stored = await getInboundMailbox().read(`${inboundMailPrefix}${messageId}`, mailBytesMax);
      const verdicts = [spfVerdict, dkimVerdict, dmarcVerdict];
      const isVerified =
        verdicts.every((each) => each?.status === 'PASS') &&
        [spamVerdict, virusVerdict].every((each) => each?.status !== 'FAIL');
      const inboundMessage = { ...stored, envelope: { from: source, to: recipients }, isVerified };
      const result = await processInboundMail(
        inboundMessage,
        { store: getStore(), workflowClient: getWorkflowClient(), mailer: getMailer() },
        runtime.now(),
      );
      logger.info('inbound message processed', { messageId, ...result });
      countFunctionMetric({ [`inbound-mail-${result.kind}`]: 1 });
    } catch (error) {
      logger.error('inbound message failed', { messageId, error: error as Error });
      countFunctionMetric({ faults: 1 });
      throw error;
    }
  }
};

let cachedMailbox: InboundMailStore | undefined;

function getInboundMailbox(): InboundMailStore {
  cachedMailbox ??= createInboundMailStore(inboundMailEnvironment().INBOUND_MAIL_BUCKET);
  return cachedMailbox;
}

/** A mail that came in: its bytes, for whom and from whom the mail system took it, and whether it is from there. */
export type InboundMessage = {
  readonly raw: Buffer;
  /** Whether `raw` is all of it; a mail that is too large has only its beginning here. */
  readonly isComplete: boolean;
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  /** Whether SPF, DKIM and DMARC all passed: then the domain of the `From` is where it comes from. */
  readonly isVerified: boolean;
};

type Dependencies = { readonly store: Store; readonly workflowClient: WorkflowClient; readonly mailer: Mailer };

/** What became of a mail, for the log: never what it says, nor from whom. */
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

/** Longer than mail systems go on delivering the same mail, which is about five days. */
const deduplicationHours = 14 * 24;
/** How often a mail looks whether the same one, which came at the same time, is done: some seconds long. */
const retryLimit = 10;
/** So many answers an address gets in a day at the most; people send a few mails, machines that loop send thousands. */
const repliesPerDayMax = 50;
/** For mails that are not shown to be from there: somebody who puts it right and tries again should hear of it. */
const unverifiedRepliesPerDayMax = 3;

/**
 * Takes a mail to the exceptions address. A machine's mail is never answered and nothing is made of it, so that mails
 * cannot go round. The same mail again, however it is delivered, does nothing more and is not answered again. Then:
 *
 * - one that is not shown to come from its sender: nothing is made. It is answered, with that alone, only if the address
 *   is one that an agreement names, and few times a day: anybody else would get our mail for what a forger sent.
 * - one to the reply address of a question: is the answer to that question (EXC-14).
 * - any other: is a request (EXC-13).
 *
 * Throws when it could not be done now, and does what is left when it is called again.
 */
export async function processInboundMail(inboundMessage: InboundMessage, dependencies: Dependencies, now: Instant): Promise<IntakeResult> {
  const parsed = await parseMessage(inboundMessage.isComplete ? inboundMessage.raw : messageHeaderOf(inboundMessage.raw));
  if (parsed === 'unreadable') return { kind: 'ignored', because: 'unreadable' };
  const { from } = parsed;
  if (from === null) return { kind: 'ignored', because: 'ambiguous-sender' };
  const { addresses } = dependencies.mailer;
  const isBounce = /^(?:<?>?|mailer-daemon(?:@.*)?)$/i.test(inboundMessage.envelope.from.trim());
  const isOurs = [addresses.MAIL_INBOUND, addresses.MAIL_FROM].some((ownAddress) => sameEmail(bareAddress(ownAddress), from));
  if (parsed.isAutomatic || isBounce || isOurs) return { kind: 'ignored', because: 'automatic' };

  const operationId = fingerprintOf(JSON.stringify(['mail', ...parsed.identity])).slice(0, 32);
  const context = { actor: from, operationId, now, policy: dependencies.store.policy };
  const idempotencyKey = { caller: 'inbound-mail', key: operationId, fingerprint: operationId };
  const { store } = dependencies;
  let claim = await claimIdempotencyKey(store, idempotencyKey, now, deduplicationHours);
  // Delivered twice at once: the one that came second waits to hear that the first is done, and is done with it.
  for (let attempt = 1; claim.kind === 'in-progress' && attempt <= retryLimit; attempt += 1) {
    await store.backOff(attempt);
    claim = await claimIdempotencyKey(store, idempotencyKey, now, deduplicationHours);
  }
  if (claim.kind === 'in-progress') throw new Error('The same mail has been read for a while, and it is not done.');
  if (claim.kind !== 'claimed') return { kind: 'ignored', because: 'duplicate' };
  try {
    const result = await routeMessage({ ...inboundMessage, ...parsed, from, operationId }, dependencies, context);
    await completeIdempotencyKey(store, idempotencyKey, { status: 200, headers: {}, body: result.kind });
    return result;
  } catch (error) {
    await releaseIdempotencyKey(store, idempotencyKey).catch((cause: unknown) => logger.error('message claim not released', { operationId, cause }));
    throw error;
  }
}

/** The address alone, of one that may have a name before it. */
function bareAddress(address: string): string {
  return /<([^<>]+)>\s*$/.exec(address)?.[1] ?? address;
}

type VerifiedMessage = InboundMessage & ParsedMessage & { readonly from: string; readonly operationId: string };

async function routeMessage(inboundMessage: VerifiedMessage, dependencies: Dependencies, context: Context): Promise<IntakeResult> {
  const logId = logIdOf(inboundMessage);
  if (!inboundMessage.isVerified) {
    const namingAgreements = await listAgreements(dependencies.store, inboundMessage.from, { limit: 1, after: null });
    const quota = { category: 'unverified', address: inboundMessage.from, repliesMax: unverifiedRepliesPerDayMax };
    if (namingAgreements.items.length > 0 && (await consumeReplyQuota(dependencies.store, quota, context.now)))
      await rejectMessage(inboundMessage, dependencies, context);
    return { kind: 'not-accepted', logId };
  }
  if (!inboundMessage.isComplete) {
    await sendReply(inboundMessage, dependencies, { content: { kind: 'too-large', megabytesMax: mailBytesMax / 1024 / 1024 } }, context);
    return { kind: 'too-large', logId };
  }
  const { MAIL_INBOUND } = dependencies.mailer.addresses;
  const targets = inboundMessage.envelope.to.map((address) => parseReplyAddress(address, MAIL_INBOUND, dependencies.store.vault));
  const replyTarget = targets.find((each) => each.kind === 'request');
  if (replyTarget !== undefined) return submitAnswer(inboundMessage, replyTarget.exceptionId, dependencies, context);
  if (targets.some(({ kind }) => kind === 'forged')) return rejectMessage(inboundMessage, dependencies, context);
  return submitMailedRequest(inboundMessage, dependencies, context);
}

/** How a mail is named in the log and in its answer, so that one finds the other. */
function logIdOf({ operationId }: VerifiedMessage): string {
  return `mail ${operationId.slice(0, 8)}`;
}

async function rejectMessage(inboundMessage: VerifiedMessage, dependencies: Dependencies, context: Context): Promise<IntakeResult> {
  await sendReply(inboundMessage, dependencies, { content: { kind: 'not-accepted' } }, context);
  return { kind: 'not-accepted', logId: logIdOf(inboundMessage) };
}

/** Answers the sender, and nobody else: whatever the mail says of where an answer should go. */
async function sendReply(
  inboundMessage: VerifiedMessage,
  { store, mailer }: Dependencies,
  answered: { readonly content: InboundReply; readonly name?: string | undefined; readonly reference?: string },
  { now }: Pick<Context, 'now'>,
): Promise<void> {
  if (!(await consumeReplyQuota(store, { category: 'any', address: inboundMessage.from, repliesMax: repliesPerDayMax }, now))) {
    logger.warn('reply limit reached', { operationId: inboundMessage.operationId });
    return;
  }
  const { MAIL_INBOUND: inbound } = mailer.addresses;
  const { content, name = null, reference = logIdOf(inboundMessage) } = answered;
  const context = { name, inbound, reference };
  const result = await mailer.send(renderInboundReply(content, context), inboundMessage.from, {
    // No letter of a request: what becomes of it changes nothing.
    tags: { reply: content.kind },
    replyTo: inbound,
  });
  if (!result.sent) logger.error('reply rejected', { operationId: inboundMessage.operationId, reply: content.kind, because: result.because });
}

// ---- A request (EXC-13)

async function submitMailedRequest(inboundMessage: VerifiedMessage, dependencies: Dependencies, context: Context): Promise<IntakeResult> {
  const logId = logIdOf(inboundMessage);
  const { store, workflowClient } = dependencies;
  const formResult = parseRequestForm(inboundMessage, store.policy);
  const { requester } = formResult.form;
  if (requester.email !== undefined && !sameEmail(requester.email, inboundMessage.from)) return rejectMessage(inboundMessage, dependencies, context);

  const caller = { email: inboundMessage.from, roles: [] };
  const sender = {
    maySpeakFor: (agreement: Parameters<typeof accessTo>[0]) =>
      accessTo(agreement, caller, ['customer'], context.now) === 'open',
  };
  const kind = formResult.form.kind ?? (await inferRequestKind(store, formResult.form, sender.maySpeakFor));
  const validation = requestFormSchema.safeParse(toRequestBody({ ...formResult.form, kind }));
  const fieldErrors = mergeFieldErrors(formResult, validation.success ? [] : validation.error.issues.flatMap(fieldErrorsOf));
  const incomplete = async (errors: readonly FieldError[]): Promise<IntakeResult> => {
    const labeledErrors = errors.map(({ pointer, message }) => ({ label: labelOfPointer(pointer), message }));
    const content = { kind: 'incomplete', form: toFormLines(formResult), validationErrors: labeledErrors, quotedTextRemoved: formResult.quotedTextRemoved } as const;
    await sendReply(inboundMessage, dependencies, { content, name: requester.name }, context);
    return { kind: 'incomplete', logId };
  };
  if (!validation.success || fieldErrors.length > 0) return incomplete(fieldErrors);

  const submission = await submitRequest(store, workflowClient, { form: validation.data, sender }, context);
  // The letter that every request is acknowledged with tells its id and its due time.
  if (submission.ok) return { kind: 'accepted', logId, exceptionId: submission.request.exceptionId };
  const { refusal } = submission;
  if (refusal.code === 'invalid-request') return incomplete(refusal.errors);
  const content = { kind: 'refused', detail: refusal.detail, form: toFormLines(formResult) } as const;
  await sendReply(inboundMessage, dependencies, { content, name: requester.name }, context);
  return { kind: 'refused', logId, code: refusal.code };
}

/**
 * A mail need not say of which kind it is: then it is of its key’s, if the sender may know of it. Of any other key it does
 * not matter: the request is refused before its kind is looked at.
 */
async function inferRequestKind(
  store: Store,
  { agreementNumber, authorizationNumber, licenseNumber, keyLastFive }: ParsedRequestForm,
  maySpeakFor: (agreement: Parameters<typeof accessTo>[0]) => boolean,
): Promise<ExceptionKind> {
  const agreementId = agreementNumber ?? `${authorizationNumber ?? ''}-${licenseNumber ?? ''}`;
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined || keyLastFive === undefined || !maySpeakFor(agreement)) return 'MAKADD';
  const page = await listKeysByLastFive(store, keyLastFive.toUpperCase(), agreementId, { limit: 1, after: null });
  const [key] = page.items;
  return key === undefined ? 'MAKADD' : exceptionKindOf(key.value.type);
}

/** Everything that is missing or wrong, once for each field and in the order of the form: what the reading says comes first. */
function mergeFieldErrors({ errors: formErrors, rawValues }: RequestFormResult, schemaErrors: readonly FieldError[]): readonly FieldError[] {
  const all = [...formErrors, ...schemaErrors.filter(({ pointer }) => !formErrors.some((formError) => formError.pointer === pointer))];
  const order = toFormLines({ rawValues }).map(({ label }) => label);
  return all.toSorted((one, other) => order.indexOf(labelOfPointer(one.pointer)) - order.indexOf(labelOfPointer(other.pointer)));
}

// ---- An answer to a question (EXC-14)

async function submitAnswer(inboundMessage: VerifiedMessage, exceptionId: string, dependencies: Dependencies, context: Context): Promise<IntakeResult> {
  const logId = logIdOf(inboundMessage);
  const { store, workflowClient } = dependencies;
  const request = await findException(store, exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  const contact = agreement === undefined ? undefined : findContact(inboundMessage.from, agreement);
  if (request === undefined || contact === undefined) return rejectMessage(inboundMessage, dependencies, context);

  const details = { name: contact.name, reference: exceptionId };
  const replyText = extractReplyText(inboundMessage.text);
  const validation = bodies['POST /exceptions/{exceptionId}/answers'].safeParse({ text: replyText.text });
  if (!validation.success) {
    const message = validation.error.issues[0]?.message ?? 'could not be read';
    const said = { kind: 'answer-unreadable', message, quotedTextRemoved: replyText.quotedTextRemoved } as const;
    await sendReply(inboundMessage, dependencies, { content: said, ...details }, context);
    return { kind: 'answer-unreadable', logId };
  }
  const { text } = validation.data;
  const outcome = await transitionException(store, exceptionId, (current) => answerQuestion(current, text, context), context);
  if (outcome === undefined) return rejectMessage(inboundMessage, dependencies, context);
  if (!outcome.ok) {
    const current = await findException(store, exceptionId);
    const { status } = (current ?? request).state;
    await sendReply(inboundMessage, dependencies, { content: { kind: 'answer-not-expected', status }, ...details }, context);
    return { kind: 'answer-not-expected', logId, exceptionId };
  }
  await tryDeliverSignal(store, workflowClient, exceptionId, context.now);
  const said = { kind: 'answer-accepted', request: outcome.value, policy: store.policy } as const;
  await sendReply(inboundMessage, dependencies, { content: said, ...details }, context);
  return { kind: 'answer-accepted', logId, exceptionId };
}
