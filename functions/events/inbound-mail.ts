import * as z from 'zod';
import { contactWith, sameEmail } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Context } from '../../domain/context.ts';
import { ownWords } from '../../domain/exceptions/reply-text.ts';
import { answer } from '../../domain/exceptions/request.ts';
import type { IntakeAsRead, MailRequest } from '../../domain/exceptions/request-form.ts';
import { bodyFrom, formOf, labelAt, readRequest } from '../../domain/exceptions/request-form.ts';
import { exceptionKindOf } from '../../domain/keys/key.ts';
import type { FieldError } from '../../domain/refusal.ts';
import type { ExceptionKind } from '../../domain/remedy.ts';
import type { MailAnswer } from '../../emails/inbound-replies.ts';
import { composeAnswer } from '../../emails/inbound-replies.ts';
import { agreementsOf, findAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { findException, moveException } from '../../store/exceptions.ts';
import { abandon, begin, finish } from '../../store/idempotency.ts';
import type { InboundMails } from '../../store/inbound-mail.ts';
import { mayAnswer, openInboundMails } from '../../store/inbound-mail.ts';
import { keysEndingIn } from '../../store/keys.ts';
import { fingerprintOf } from '../../store/vault.ts';
import type { Engine } from '../../workflows/client.ts';
import { inboundMailEnvironment } from '../environment.ts';
import { accessTo } from '../http/caller.ts';
import { fieldErrorsOf } from '../http/handler.ts';
import { bodies, intakeSchema } from '../http/request-schemas.ts';
import type { ReadMail } from '../mail/mime.ts';
import { headOf, largestMailBytes, readMail } from '../mail/mime.ts';
import { requestAt } from '../mail/reply-address.ts';
import { inboundMailPrefix } from '../manifest.ts';
import { world } from '../runtime/clock.ts';
import type { Mailing } from '../runtime/mailer.ts';
import { theMail } from '../runtime/mailer.ts';
import { countHere, logger } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';
import { theEngine } from '../runtime/workflow-client.ts';
import { signal } from '../use-cases/signal-workflow.ts';
import { takeRequest } from '../use-cases/submit-request.ts';

const verdict = z.object({ status: z.string() });

/** What SES tells of a mail that it has taken and stored: as much of it as is looked at. */
const receivedSchema = z.object({
  Records: z
    .array(
      z.object({
        ses: z.object({
          mail: z.object({ messageId: z.string().regex(/^[\w.-]+$/), source: z.string().default('') }),
          receipt: z.object({
            recipients: z.array(z.string()),
            spfVerdict: verdict,
            dkimVerdict: verdict,
            dmarcVerdict: verdict.optional(),
            spamVerdict: verdict.optional(),
            virusVerdict: verdict.optional(),
          }),
        }),
      }),
    )
    .min(1),
});

/** Reads each mail that SES tells of from where SES has put it, and does what is asked in it (EXC-13, EXC-14). */
export const handler = async (event: unknown): Promise<void> => {
  for (const { ses } of receivedSchema.parse(event).Records) {
    const { messageId, source } = ses.mail;
    const { recipients, spfVerdict, dkimVerdict, dmarcVerdict, spamVerdict, virusVerdict } = ses.receipt;
    try {
      const stored = await theMails().read(`${inboundMailPrefix}${messageId}`, largestMailBytes);
      const verdicts = [spfVerdict, dkimVerdict, dmarcVerdict];
      const isVerified =
        verdicts.every((each) => each?.status === 'PASS') &&
        [spamVerdict, virusVerdict].every((each) => each?.status !== 'FAIL');
      const mail = { ...stored, envelope: { from: source, to: recipients }, isVerified };
      const became = await receiveMail(
        mail,
        { store: theStore(), engine: theEngine(), mailing: theMail() },
        world.now(),
      );
      logger.info('mail read', { messageId, ...became });
      countHere({ [`mail-${became.is}`]: 1 });
    } catch (error) {
      logger.error('mail not read', { messageId, error: error as Error });
      countHere({ faults: 1 });
      throw error;
    }
  }
};

let opened: InboundMails | undefined;

function theMails(): InboundMails {
  opened ??= openInboundMails(inboundMailEnvironment().INBOUND_MAIL_BUCKET);
  return opened;
}

/** A mail that came in: its bytes, for whom and from whom the mail system took it, and whether it is from there. */
export type ArrivedMail = {
  readonly raw: Buffer;
  /** Whether `raw` is all of it; a mail that is too large has only its beginning here. */
  readonly isWhole: boolean;
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  /** Whether SPF, DKIM and DMARC all passed: then the domain of the `From` is where it comes from. */
  readonly isVerified: boolean;
};

type Doors = { readonly store: Store; readonly engine: Engine; readonly mailing: Mailing };

/** What became of a mail, for the log: never what it says, nor from whom. */
export type Became =
  | { readonly is: 'ignored'; readonly because: 'unreadable' | 'no-sole-sender' | 'automatic' | 'delivered-again' }
  | { readonly is: 'not-accepted'; readonly mail: string }
  | { readonly is: 'too-large' | 'incomplete' | 'answer-not-readable'; readonly mail: string }
  | { readonly is: 'refused'; readonly mail: string; readonly code: string }
  | {
      readonly is: 'taken' | 'answer-taken' | 'answer-not-awaited';
      readonly mail: string;
      readonly exceptionId: string;
    };

/** Longer than mail systems go on delivering the same mail, which is about five days. */
const mailsKnownForHours = 14 * 24;
/** How often a mail looks whether the same one, which came at the same time, is done: some seconds long. */
const patience = 10;
/** So many answers an address gets in a day at the most; people send a few mails, machines that loop send thousands. */
const answersADay = 50;
/** For mails that are not shown to be from there: somebody who puts it right and tries again should hear of it. */
const unverifiedAnswersADay = 3;

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
export async function receiveMail(arrived: ArrivedMail, doors: Doors, now: Instant): Promise<Became> {
  const read = await readMail(arrived.isWhole ? arrived.raw : headOf(arrived.raw));
  if (read === 'unreadable') return { is: 'ignored', because: 'unreadable' };
  const { from } = read;
  if (from === null) return { is: 'ignored', because: 'no-sole-sender' };
  const { addresses } = doors.mailing;
  const isBounce = /^(?:<?>?|mailer-daemon(?:@.*)?)$/i.test(arrived.envelope.from.trim());
  const isOurs = [addresses.MAIL_INBOUND, addresses.MAIL_FROM].some((ours) => sameEmail(bare(ours), from));
  if (read.isAutomatic || isBounce || isOurs) return { is: 'ignored', because: 'automatic' };

  const operation = fingerprintOf(JSON.stringify(['mail', ...read.identity])).slice(0, 32);
  const context = { actor: from, operationId: operation, now, policy: doors.store.policy };
  const repeatable = { caller: 'inbound-mail', key: operation, fingerprint: operation };
  const { store } = doors;
  let begun = await begin(store, repeatable, now, mailsKnownForHours);
  // Delivered twice at once: the one that came second waits to hear that the first is done, and is done with it.
  for (let attempt = 1; begun.is === 'in-progress' && attempt <= patience; attempt += 1) {
    await store.pause(attempt);
    begun = await begin(store, repeatable, now, mailsKnownForHours);
  }
  if (begun.is === 'in-progress') throw new Error('The same mail has been read for a while, and it is not done.');
  if (begun.is !== 'first') return { is: 'ignored', because: 'delivered-again' };
  try {
    const became = await act({ ...arrived, ...read, from, operation }, doors, context);
    await finish(store, repeatable, { status: 200, headers: {}, body: became.is });
    return became;
  } catch (error) {
    await abandon(store, repeatable).catch((cause: unknown) => logger.error('could not abandon', { operation, cause }));
    throw error;
  }
}

/** The address alone, of one that may have a name before it. */
function bare(address: string): string {
  return /<([^<>]+)>\s*$/.exec(address)?.[1] ?? address;
}

type Sent = ArrivedMail & ReadMail & { readonly from: string; readonly operation: string };

async function act(sent: Sent, doors: Doors, context: Context): Promise<Became> {
  const mail = nameOf(sent);
  if (!sent.isVerified) {
    const named = await agreementsOf(doors.store, sent.from, { limit: 1, after: null });
    const ask = { what: 'unverified', address: sent.from, most: unverifiedAnswersADay };
    if (named.items.length > 0 && (await mayAnswer(doors.store, ask, context.now)))
      await notAccepted(sent, doors, context);
    return { is: 'not-accepted', mail };
  }
  if (!sent.isWhole) {
    await reply(sent, doors, { said: { is: 'too-large', mostMegabytes: largestMailBytes / 1024 / 1024 } }, context);
    return { is: 'too-large', mail };
  }
  const { MAIL_INBOUND } = doors.mailing.addresses;
  const meant = sent.envelope.to.map((address) => requestAt(address, MAIL_INBOUND, doors.store.vault));
  const request = meant.find((each) => each.is === 'request');
  if (request !== undefined) return takeAnswer(sent, request.exceptionId, doors, context);
  if (meant.some(({ is }) => is === 'forged')) return notAccepted(sent, doors, context);
  return takeMailedRequest(sent, doors, context);
}

/** How a mail is named in the log and in its answer, so that one finds the other. */
function nameOf({ operation }: Sent): string {
  return `mail ${operation.slice(0, 8)}`;
}

async function notAccepted(sent: Sent, doors: Doors, context: Context): Promise<Became> {
  await reply(sent, doors, { said: { is: 'not-accepted' } }, context);
  return { is: 'not-accepted', mail: nameOf(sent) };
}

/** Answers the sender, and nobody else: whatever the mail says of where an answer should go. */
async function reply(
  sent: Sent,
  { store, mailing }: Doors,
  answered: { readonly said: MailAnswer; readonly name?: string | undefined; readonly reference?: string },
  { now }: Pick<Context, 'now'>,
): Promise<void> {
  if (!(await mayAnswer(store, { what: 'any', address: sent.from, most: answersADay }, now))) {
    logger.warn('answers to an address have come to their bound', { operation: sent.operation });
    return;
  }
  const { MAIL_INBOUND: inbound } = mailing.addresses;
  const { said, name = null, reference = nameOf(sent) } = answered;
  const facts = { name, inbound, reference };
  const out = await mailing.send(composeAnswer(said, facts), sent.from, {
    // No letter of a request: what becomes of it changes nothing.
    tags: { answer: said.is },
    replyTo: inbound,
  });
  if (!out.sent) logger.error('undeliverable', { operation: sent.operation, letter: said.is, because: out.because });
}

// ---- A request (EXC-13)

async function takeMailedRequest(sent: Sent, doors: Doors, context: Context): Promise<Became> {
  const mail = nameOf(sent);
  const { store, engine } = doors;
  const read = readRequest(sent, store.policy);
  const { requester } = read.intake;
  if (requester.email !== undefined && !sameEmail(requester.email, sent.from)) return notAccepted(sent, doors, context);

  const caller = { email: sent.from, roles: [] };
  const sender = {
    maySpeakFor: (agreement: Parameters<typeof accessTo>[0]) =>
      accessTo(agreement, caller, ['customer'], context.now) === 'open',
  };
  const kind = read.intake.kind ?? (await kindOfKey(store, read.intake, sender.maySpeakFor));
  const checked = intakeSchema.safeParse(bodyFrom({ ...read.intake, kind }));
  const faults = faultsOf(read, checked.success ? [] : checked.error.issues.flatMap(fieldErrorsOf));
  const incomplete = async (found: readonly FieldError[]): Promise<Became> => {
    const named = found.map(({ pointer, message }) => ({ label: labelAt(pointer), message }));
    const said = { is: 'incomplete', form: formOf(read), faults: named, leftOut: read.leftOut } as const;
    await reply(sent, doors, { said, name: requester.name }, context);
    return { is: 'incomplete', mail };
  };
  if (!checked.success || faults.length > 0) return incomplete(faults);

  const taken = await takeRequest(store, engine, { intake: checked.data, sender }, context);
  // The letter that every request is acknowledged with tells its id and its due time.
  if (taken.ok) return { is: 'taken', mail, exceptionId: taken.request.exceptionId };
  const { refusal } = taken;
  if (refusal.code === 'invalid-request') return incomplete(refusal.errors);
  const said = { is: 'refused', detail: refusal.detail, form: formOf(read) } as const;
  await reply(sent, doors, { said, name: requester.name }, context);
  return { is: 'refused', mail, code: refusal.code };
}

/**
 * A mail need not say of which kind it is: then it is of its key’s, if the sender may know of it. Of any other key it does
 * not matter: the request is refused before its kind is looked at.
 */
async function kindOfKey(
  store: Store,
  { agreementNumber, authorizationNumber, licenseNumber, keyLastFive }: IntakeAsRead,
  maySpeakFor: (agreement: Parameters<typeof accessTo>[0]) => boolean,
): Promise<ExceptionKind> {
  const agreementId = agreementNumber ?? `${authorizationNumber ?? ''}-${licenseNumber ?? ''}`;
  const agreement = await findAgreement(store, agreementId);
  if (agreement === undefined || keyLastFive === undefined || !maySpeakFor(agreement)) return 'MAKADD';
  const found = await keysEndingIn(store, keyLastFive.toUpperCase(), agreementId, { limit: 1, after: null });
  const [key] = found.items;
  return key === undefined ? 'MAKADD' : exceptionKindOf(key.state.type);
}

/** Everything that is missing or wrong, once for each field and in the order of the form: what the reading says comes first. */
function faultsOf({ faults, written }: MailRequest, checked: readonly FieldError[]): readonly FieldError[] {
  const all = [...faults, ...checked.filter(({ pointer }) => !faults.some((fault) => fault.pointer === pointer))];
  const order = formOf({ written }).map(({ label }) => label);
  return all.toSorted((one, other) => order.indexOf(labelAt(one.pointer)) - order.indexOf(labelAt(other.pointer)));
}

// ---- An answer to a question (EXC-14)

async function takeAnswer(sent: Sent, exceptionId: string, doors: Doors, context: Context): Promise<Became> {
  const mail = nameOf(sent);
  const { store, engine } = doors;
  const request = await findException(store, exceptionId);
  const agreement = request === undefined ? undefined : await findAgreement(store, request.agreementId);
  const contact = agreement === undefined ? undefined : contactWith(sent.from, agreement);
  if (request === undefined || contact === undefined) return notAccepted(sent, doors, context);

  const about = { name: contact.name, reference: exceptionId };
  const own = ownWords(sent.text);
  const checked = bodies['POST /exceptions/{exceptionId}/answers'].safeParse({ text: own.text });
  if (!checked.success) {
    const message = checked.error.issues[0]?.message ?? 'could not be read';
    const said = { is: 'answer-not-readable', message, leftOut: own.leftOut } as const;
    await reply(sent, doors, { said, ...about }, context);
    return { is: 'answer-not-readable', mail };
  }
  const { text } = checked.data;
  const outcome = await moveException(store, exceptionId, (current) => answer(current, text, context), context);
  if (outcome === undefined) return notAccepted(sent, doors, context);
  if (!outcome.ok) {
    const current = await findException(store, exceptionId);
    const { is: status } = (current ?? request).stage;
    await reply(sent, doors, { said: { is: 'answer-not-awaited', status }, ...about }, context);
    return { is: 'answer-not-awaited', mail, exceptionId };
  }
  await signal(store, engine, exceptionId, context.now);
  const said = { is: 'answer-taken', request: outcome.answer, policy: store.policy } as const;
  await reply(sent, doors, { said, ...about }, context);
  return { is: 'answer-taken', mail, exceptionId };
}
