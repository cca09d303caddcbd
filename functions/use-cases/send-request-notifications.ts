import type { Agreement, Person } from '../../domain/agreement.ts';
import { deputyAt, noticesCorrespondentAt } from '../../domain/agreement.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { later } from '../../domain/calendar/instant.ts';
import { hearOfMail } from '../../domain/exceptions/delivery-failure.ts';
import type { Addressee, Letter } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../../domain/exceptions/request.ts';
import { askOf } from '../../domain/exceptions/request.ts';
import { lapsesAt } from '../../domain/exceptions/schedule.ts';
import { limitOf } from '../../domain/keys/grant.ts';
import type { Key } from '../../domain/keys/key.ts';
import { Secret } from '../../domain/secret.ts';
import { compose } from '../../emails/compose.ts';
import type { LetterFacts, Link } from '../../emails/request-email.ts';
import { findAgreement } from '../../store/agreements.ts';
import { keepLink } from '../../store/approval-links.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { claimLetters, findException, moveException, settleLetters } from '../../store/exceptions.ts';
import { findKey } from '../../store/keys.ts';
import { replyAddressFor } from '../mail/reply-address.ts';
import { world } from '../runtime/clock.ts';
import type { Mailing } from '../runtime/mailer.ts';
import { count, logger } from '../runtime/observability.ts';

/**
 * Sends the letters that a request owes (EXC-11). They are claimed first, so that two never send the same one at once,
 * and struck off when they went out or never can. What could not be sent just now is let go of and thrown about: the
 * step is retried, and the sweep sends it in the end.
 */
export async function deliverLetters(store: Store, mailing: Mailing, exceptionId: string, now: Instant): Promise<void> {
  const owing = await findException(store, exceptionId);
  if (owing === undefined || owing.letters.length === 0) return;
  const { agreement, key } = await whatLettersTell(store, owing);
  const found = await claimLetters(store, exceptionId, deputyAt(agreement, now, store.policy) !== undefined, now);
  if (found === undefined || found.claimed.length === 0) return;
  const { request, claimed } = found;
  const about = { request, now, agreement, key };
  const settled: string[] = [];
  const failures: unknown[] = [];
  for (const letter of claimed) {
    try {
      await deliver(store, mailing, letter, about);
      settled.push(letter.letterId);
    } catch (error) {
      // One that cannot be sent keeps none of the others waiting.
      failures.push(error);
    }
  }
  const unsent = claimed.map(({ letterId }) => letterId).filter((letterId) => !settled.includes(letterId));
  await settleLetters(store, exceptionId, { settled, unsent }, now);
  if (failures.length > 0) throw failures[0];
}

type About = {
  readonly request: ExceptionRequest;
  readonly now: Instant;
  readonly agreement: Agreement;
  readonly key: Key;
};

async function whatLettersTell(store: Store, { agreementId, keyId }: ExceptionRequest) {
  const [agreement, key] = await Promise.all([findAgreement(store, agreementId), findKey(store, keyId)]);
  if (agreement === undefined || key === undefined) {
    throw new Error(`Agreement ${agreementId} or key ${keyId} of a request has gone; they are never deleted.`);
  }
  return { agreement, key };
}

async function deliver(store: Store, mailing: Mailing, letter: Letter, about: About): Promise<void> {
  const { request, now } = about;
  const reader = readerOf(letter, about, store, mailing);
  // A deputy whose days ended before the letter went out has no more to do with it.
  if (reader === undefined) return;
  const link = await linkFor(store, mailing, letter, { request, email: reader.email, now });
  const mail = compose(letter.kind, factsFor(store, about, { to: letter.to, name: reader.name }, link));
  // A letter that would no longer be true is not sent.
  if (mail === undefined) return;
  const askNumber = askOf(request)?.askNumber ?? null;
  const sent = await mailing.send(mail, reader.email, {
    tags: {
      letter: letter.kind,
      exception: request.exceptionId,
      to: letter.to,
      ...(askNumber === null ? {} : { ask: String(askNumber) }),
    },
    ...replyTo(letter, request, store, mailing),
  });
  if (sent.sent) {
    count('letters', letter.kind);
  } else {
    const { letterId, kind, to } = letter;
    await recordRefusedLetter(store, about, { letterId, kind, to, because: sent.because });
  }
}

/**
 * Logs and records in the request's history that the mail service refused a letter at once, which no retry would change.
 * The same letter is recorded once.
 */
export async function recordRefusedLetter(
  store: Store,
  { request, agreement, now }: Pick<About, 'request' | 'agreement' | 'now'>,
  { letterId, kind, to, because }: Pick<Letter, 'letterId' | 'kind' | 'to'> & { readonly because: string },
): Promise<void> {
  logger.error('undeliverable', { exceptionId: request.exceptionId, letter: letterId, because });
  const askNumber = askOf(request)?.askNumber ?? null;
  const trouble = { letter: kind, to, askNumber, is: 'not-delivered', because: 'refused at once' } as const;
  const hasDeputy = deputyAt(agreement, now, store.policy) !== undefined;
  await moveException(
    store,
    request.exceptionId,
    (known) => ({ ok: true, ...hearOfMail(known, trouble, hasDeputy, now) }),
    { operationId: `refused ${letterId}`, now },
  );
}

/**
 * Where an answer to a letter arrives: that to the team’s question at the request itself (EXC-14), any other of the
 * requester’s with the team. Our own address reads no mail.
 */
function replyTo(
  { kind, to }: Letter,
  { exceptionId }: ExceptionRequest,
  { vault }: Store,
  { addresses }: Mailing,
): { readonly replyTo?: string } {
  if (kind === 'question') return { replyTo: replyAddressFor(exceptionId, addresses.MAIL_INBOUND, vault) };
  return to === 'requester' ? { replyTo: addresses.MAIL_TEAM } : {};
}

/** What every letter about a request is written from. */
export function factsFor(
  store: Store,
  { request, now, agreement, key }: About,
  { to, name }: { readonly to: Addressee; readonly name: string },
  link: Link | null,
): LetterFacts {
  const correspondentName = noticesCorrespondentAt(agreement, now).name;
  return {
    request,
    to: to === 'deputy' ? { role: 'correspondent', name, deputyOf: correspondentName } : { role: to, name },
    organizationName: agreement.organization.name,
    lastFive: key.lastFive,
    keyType: key.type,
    limit: limitOf(key.grants),
    productName: store.policy.catalog[request.intake.product].name,
    correspondentName,
    answer: request.stage.is === 'in-review' ? (request.stage.answered?.answer ?? null) : null,
    now,
    policy: store.policy,
    link,
  };
}

function readerOf(
  { to }: Letter,
  { request, agreement, now }: About,
  { policy }: Store,
  { addresses }: Mailing,
): Pick<Person, 'name' | 'email'> | undefined {
  switch (to) {
    case 'requester':
      return request.intake.requester;
    case 'correspondent':
      return noticesCorrespondentAt(agreement, now);
    case 'deputy':
      return deputyAt(agreement, now, policy);
    case 'team':
      return { name: 'exceptions team', email: addresses.MAIL_TEAM };
    case 'supervisors':
      return { name: 'supervisors', email: addresses.MAIL_SUPERVISORS };
  }
}

const codeDigits = 6;
/** For how long a decision can be disputed with the link in its mail (APR-8). */
const disputeDays = 90;

/**
 * Makes the link that a mail carries, keeps its hashes, and gives it to the mail alone (APR-1): to decide, or, in the mail
 * that tells of a decision, to say "this was not me" (APR-8). Each mail has its own; every link to a question is as good
 * as the question. In strict mode the code is not in the mail (APR-7).
 */
async function linkFor(
  store: Store,
  mailing: Mailing,
  { kind, to }: Letter,
  { request, email, now }: Pick<About, 'request' | 'now'> & { readonly email: string },
): Promise<Link | null> {
  const ask = askOf(request);
  if (ask === null) return null;
  const about = { exceptionId: request.exceptionId, askNumber: ask.askNumber, to: email };
  const token = world.token();
  const url = (path: string) => new Secret(`${mailing.addresses.PUBLIC_URL}/${path}/${token.reveal()}`, '[link]');
  if (kind === 'approval-wanted' || kind === 'approval-reminder') {
    const code = store.policy.approval.strict ? null : world.code(codeDigits);
    const expiresAt = lapsesAt(ask.askedAt, store.policy);
    await keepLink(store, { token, code }, { ...about, is: 'decision', expiresAt }, now);
    return { url: url('approvals'), code, expiresAt };
  }
  if (kind === 'decided' && (to === 'correspondent' || to === 'deputy')) {
    const expiresAt = later(now, { days: disputeDays });
    await keepLink(store, { token, code: null }, { ...about, is: 'dispute', expiresAt }, now);
    return { url: url('disputes'), code: null, expiresAt };
  }
  return null;
}
