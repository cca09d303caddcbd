import type { Agreement, Person } from '../domain/agreement.ts';
import {
  kmsGroupOf,
  nameCorrespondent,
  normalizeEmail,
  noticesCorrespondentAt,
  withEffectiveCorrespondent,
} from '../domain/agreement.ts';
import type { AgreementNotification } from '../domain/agreement-notification.ts';
import { correspondentChangeRecipients, notificationsFor } from '../domain/agreement-notification.ts';
import type { AuditEvent } from '../domain/audit-event.ts';
import { serviceActor } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import { issueKmsKey } from '../domain/keys/issue.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import { refuse } from '../domain/refusal.ts';
import { notificationWrite } from './agreement-notifications.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf, startAfter } from './dynamodb/page.ts';
import type { ItemKey, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
import type { Versioned, WriteContext } from './dynamodb/versioned-item.ts';
import {
  fromItem,
  isProcessed,
  newItem,
  readItem,
  toWrites,
  updateExisting,
  updateWithRetry,
} from './dynamodb/versioned-item.ts';
import { keyCreationWrites } from './keys.ts';
import type { Store, UpdateDecision, UpdateResult } from './store.ts';

export function agreementKey(agreementId: string): ItemKey {
  return { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' };
}

/** Reads an agreement with its version. */
export function readAgreement(store: Store, agreementId: string): Promise<Versioned<Agreement> | undefined> {
  return readItem<Agreement>(store, agreementKey(agreementId));
}

/** Returns the agreement with this ID, or `undefined` if there is none. */
export async function findAgreement(store: Store, agreementId: string): Promise<Agreement | undefined> {
  return (await readAgreement(store, agreementId))?.value;
}

/**
 * Returns a page of the agreements that list this email as a contact or the Notices Correspondent, ordered by ID
 * (AGR-3).
 */
export async function listAgreements(
  store: Store,
  email: string,
  { limit, after }: PageRequest,
): Promise<Page<Agreement>> {
  const pointers = await query(store, {
    partition: ['PK', personKey(email)],
    sort: {
      name: 'SK',
      condition: '#sort > :after',
      values: { ':after': startAfter(after, 'AGREEMENT#') },
    },
    limit: limit + 1,
  });
  const page = pageOf(pointers, limit, ({ SK }) => SK);
  const items = await getAll(
    store,
    page.items.map(({ SK }) => agreementKey(SK.slice('AGREEMENT#'.length))),
  );
  return { items: items.map((item) => fromItem<Agreement>(item).value), next: page.next };
}

/**
 * Registers an agreement and, in the same transaction, issues its KMS key if the agreement covers Windows Vista
 * (KEY-1). Refuses an agreement that exists (`agreement-exists`). A repeated operation returns the agreement.
 */
export function registerAgreement(
  store: Store,
  agreement: Agreement,
  drawKey: () => ProductKey,
  context: Context,
): Promise<UpdateResult<Agreement>> {
  return updateWithRetry(store, async (): Promise<UpdateDecision<Agreement>> => {
    const existing = await readAgreement(store, agreement.agreementId);
    if (existing !== undefined) {
      if (isProcessed(existing, context.operationId)) return { kind: 'no-change', value: existing.value };
      const { agreementId } = agreement;
      return {
        kind: 'refused',
        refusal: refuse('agreement-exists', `Agreement ${agreementId} is already registered. Change it instead.`, {
          agreementId,
        }),
      };
    }
    const event: AuditEvent = {
      actor: context.actor,
      action: 'agreement-registered',
      detail: `${agreement.organization.name} was registered with ${agreement.contacts.length} authorized contacts.`,
      reference: context.operationId,
    };
    const pointers = personEmailsOf(agreement).map((email) => personPut(email, agreement.agreementId));
    return {
      kind: 'write',
      value: agreement,
      writes: [
        ...toWrites(newItem(agreementKey(agreement.agreementId), agreement), {
          operationId: context.operationId,
          now: context.now,
          event,
        }),
        ...pointers,
        ...kmsKeyWrites(store, agreement, drawKey, context),
      ],
    };
  });
}

function kmsKeyWrites(
  store: Store,
  agreement: Agreement,
  drawKey: () => ProductKey,
  context: Context,
): readonly TransactItem[] {
  const productGroup = kmsGroupOf(agreement, context.policy);
  if (productGroup === undefined) return [];
  const productKey = drawKey();
  const newKey = {
    keyId: store.vault.keyIdOf(productKey),
    lastFive: productKey.lastFive,
    productGroup,
    replaces: null,
  };
  const issueContext = { ...context, actor: serviceActor };
  const key = issueKmsKey(newKey, agreement, issueContext);
  return keyCreationWrites(store, { key, productKey, agreement }, issueContext);
}

/** Replaces the Authorized Contact List (AGR-2), and so who may see the agreement (AGR-3). */
export function changeContacts(
  store: Store,
  agreementId: string,
  contacts: readonly Person[],
  context: Context,
): Promise<UpdateResult<Agreement> | undefined> {
  return updateAgreement(
    store,
    agreementId,
    (agreement) => ({
      agreement: { ...agreement, contacts },
      event: {
        actor: context.actor,
        action: 'contacts-changed',
        detail: `The Authorized Contact List is now: ${contacts.map(({ name, email }) => `${name} <${email}>`).join(', ')}.`,
        reference: context.operationId,
      },
    }),
    context,
  );
}

/**
 * Names a new Notices Correspondent, who takes over after the waiting period. Notifies every contact and both
 * correspondents immediately (AGR-4). Returns `undefined` if there is no such agreement.
 */
export function nameNewCorrespondent(
  store: Store,
  agreementId: string,
  person: Person,
  context: Context,
): Promise<UpdateResult<Agreement> | undefined> {
  const { now, policy } = context;
  return updateAgreement(
    store,
    agreementId,
    (before) => {
      const agreement = nameCorrespondent(before, person, now, policy);
      const effectiveAt = agreement.pendingNoticesCorrespondent?.effectiveAt ?? now;
      const content = {
        kind: 'correspondent-changes',
        from: noticesCorrespondentAt(before, now),
        to: person,
        effectiveAt,
      } as const;
      return {
        agreement,
        event: {
          actor: context.actor,
          action: 'correspondent-named',
          detail: `${person.name} <${person.email}> becomes the Notices Correspondent at ${effectiveAt}.`,
          reference: context.operationId,
        },
        notifications: notificationsFor(
          correspondentChangeRecipients(before, person, now),
          `correspondent ${agreementId} ${effectiveAt}`,
          before,
          content,
        ),
      };
    },
    context,
  );
}

/** Names a deputy of the Notices Correspondent, from a first to a last day, in place of any earlier deputy (AGR-5). */
export function nameDeputy(
  store: Store,
  agreementId: string,
  deputy: NonNullable<Agreement['deputy']>,
  context: Context,
): Promise<UpdateResult<Agreement> | undefined> {
  return updateAgreement(
    store,
    agreementId,
    (before) => ({
      agreement: { ...withEffectiveCorrespondent(before, context.now), deputy },
      event: {
        actor: context.actor,
        action: 'deputy-named',
        detail: `${deputy.person.name} <${deputy.person.email}> is the deputy from ${deputy.from} to ${deputy.to}.`,
        reference: context.operationId,
      },
    }),
    context,
  );
}

/** Completes a change of the Notices Correspondent whose waiting period is over (AGR-4). It is safe to repeat. */
export async function applyCorrespondentChange(store: Store, agreementId: string, now: Instant): Promise<void> {
  await updateAgreement(
    store,
    agreementId,
    (before) => {
      const agreement = withEffectiveCorrespondent(before, now);
      if (agreement === before) return 'no-change';
      const { name, email } = agreement.noticesCorrespondent;
      return {
        agreement,
        event: {
          actor: serviceActor,
          action: 'correspondent-changed',
          detail: `The waiting period is over: ${name} <${email}> is the Notices Correspondent.`,
          reference: null,
        },
      };
    },
    { operationId: null, now },
  );
}

/** Returns the index keys of an agreement: its next action is due when a new Notices Correspondent takes over. */
export function agreementIndexKeys({
  pendingNoticesCorrespondent: pending,
}: Agreement): Readonly<Record<string, string>> {
  return dueIndexKeys('AGREEMENT', pending?.effectiveAt ?? null);
}

/** The changed agreement, the event, and the notifications to send. */
type AgreementUpdate = {
  readonly agreement: Agreement;
  readonly event: AuditEvent;
  readonly notifications?: readonly AgreementNotification[];
};

function updateAgreement(
  store: Store,
  agreementId: string,
  decide: (agreement: Agreement) => AgreementUpdate | 'no-change',
  { operationId, now }: WriteContext,
): Promise<UpdateResult<Agreement> | undefined> {
  return updateExisting(store, agreementKey(agreementId), (record: Versioned<Agreement>): UpdateDecision<Agreement> => {
    if (operationId !== null && isProcessed(record, operationId)) return { kind: 'no-change', value: record.value };
    const update = decide(record.value);
    if (update === 'no-change') return { kind: 'no-change', value: record.value };
    const { agreement, event, notifications = [] } = update;
    const emailsBefore = new Set(personEmailsOf(record.value));
    const emailsAfter = new Set(personEmailsOf(agreement));
    return {
      kind: 'write',
      value: agreement,
      writes: [
        ...toWrites(
          { ...record, value: agreement },
          { operationId, now, event, attributes: agreementIndexKeys(agreement) },
        ),
        ...notifications.map((notification) => notificationWrite(notification, now)),
        ...[...emailsAfter].filter((email) => !emailsBefore.has(email)).map((email) => personPut(email, agreementId)),
        ...[...emailsBefore]
          .filter((email) => !emailsAfter.has(email))
          .map((email) => personDelete(email, agreementId)),
      ],
    };
  });
}

/**
 * Returns the normalized emails of the people who have a pointer to the agreement (AGR-3). It depends only on the
 * stored agreement: a new Notices Correspondent gets a pointer when the change is completed.
 */
export function personEmailsOf(agreement: Agreement): readonly string[] {
  const people = [...agreement.contacts, agreement.noticesCorrespondent];
  return [...new Set(people.map(({ email }) => normalizeEmail(email)))];
}

function personKey(email: string): string {
  return `PERSON#${normalizeEmail(email)}`;
}

/** Returns the key of the pointer that lets a person see an agreement as a customer. */
export function personPointer(email: string, agreementId: string): ItemKey {
  return { PK: personKey(email), SK: `AGREEMENT#${agreementId}` };
}

function personPut(email: string, agreementId: string): TransactItem {
  return { Put: { Item: personPointer(email, agreementId) } };
}

function personDelete(email: string, agreementId: string): TransactItem {
  return { Delete: { Key: personPointer(email, agreementId) } };
}
