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
import type { KmsKey } from '../domain/keys/key.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import { refuse } from '../domain/refusal.ts';
import { notificationWrite } from './agreement-notifications.ts';
import { dueIndexKeys } from './dynamodb/due-items.ts';
import type { Page, PageRequest } from './dynamodb/page.ts';
import { pageOf, startAfter } from './dynamodb/page.ts';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
import type { UpdateDecision, UpdateResult, Versioned, WriteContext } from './dynamodb/versioned-item.ts';
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

export function agreementKey(agreementId: string): ItemKey {
  return { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' };
}

/** Reads an agreement with its version. */
export function readAgreement(store: Store, agreementId: string): Promise<Versioned<Agreement> | undefined> {
  return readItem<Agreement>(store, agreementKey(agreementId));
}

/** The agreement with this id; `undefined` when there is none. */
export async function findAgreement(store: Store, agreementId: string): Promise<Agreement | undefined> {
  return (await readAgreement(store, agreementId))?.value;
}

/** The agreements on whose contact list, or as whose Notices Correspondent, this e-mail is, by id (AGR-3). */
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
 * Registers an agreement, and with it, in one step, the KMS key that it gets when it covers Windows Vista (KEY-1).
 * Refuses an agreement that exists (`agreement-exists`). The same operation again answers with the agreement as it is.
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
        refusal: refuse('agreement-exists', `Agreement ${agreementId} is registered already. Change it instead.`, {
          agreementId,
        }),
      };
    }
    const event = {
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
  const key: KmsKey = {
    type: 'KMS',
    keyId: store.vault.keyIdOf(productKey),
    agreementId: agreement.agreementId,
    productGroup,
    lastFive: productKey.lastFive,
    state: { status: 'live' },
    grants: [
      {
        kind: 'initial',
        amount: context.policy.kms.hostPlaces,
        at: context.now,
        by: serviceActor,
        reference: agreement.agreementId,
        approvedBy: null,
      },
    ],
    issuedAt: context.now,
    replaces: null,
    hosts: [],
    overrides: [],
  };
  return keyCreationWrites(store, { key, productKey, agreement }, { ...context, actor: serviceActor });
}

/** Replaces the Authorized Contact List (AGR-2) and, with it, who may see the agreement (AGR-3). */
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
 * Names a new Notices Correspondent, who takes over after the waiting period; every contact and both correspondents are
 * told at once (AGR-4). `undefined` when there is no such agreement.
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

/** Lets the Notices Correspondent name a deputy for some days, both included, in place of any named before (AGR-5). */
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

/** Makes the successor whose time has come the Notices Correspondent in every respect (AGR-4). May run any number of times. */
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

/** When the sweep has something to do with an agreement: when a new Notices Correspondent takes over. */
export function agreementIndexKeys({
  pendingNoticesCorrespondent: pending,
}: Agreement): Readonly<Record<string, string>> {
  return dueIndexKeys('AGREEMENT', pending?.effectiveAt ?? null);
}

/** What a change of an agreement comes to, with the notices that it owes. */
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
  return updateExisting<Agreement, Agreement>(store, agreementKey(agreementId), (record) => {
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
 * Whom a pointer leads to the agreement, by normalized e-mail (AGR-3). It follows from what is written alone: a new Notices
 * Correspondent gets one when the agreement is settled.
 */
export function personEmailsOf(agreement: Agreement): readonly string[] {
  const people = [...agreement.contacts, agreement.noticesCorrespondent];
  return [...new Set(people.map(({ email }) => normalizeEmail(email)))];
}

function personKey(email: string): string {
  return `PERSON#${normalizeEmail(email)}`;
}

/** Says that a person may see an agreement as its customer. */
export function personPointer(email: string, agreementId: string): ItemKey {
  return { PK: personKey(email), SK: `AGREEMENT#${agreementId}` };
}

function personPut(email: string, agreementId: string): TransactItem {
  return { Put: { TableName: '', Item: personPointer(email, agreementId) } };
}

function personDelete(email: string, agreementId: string): TransactItem {
  return { Delete: { TableName: '', Key: personPointer(email, agreementId) } };
}
