import type { Agreement, Person } from '../domain/agreement.ts';
import { kmsGroupOf, nameCorrespondent, normalizeEmail, noticesCorrespondentAt, settled } from '../domain/agreement.ts';
import type { Notice } from '../domain/agreement-notification.ts';
import { noticesTo, readersOfChange } from '../domain/agreement-notification.ts';
import type { Deed } from '../domain/audit-event.ts';
import { theService } from '../domain/audit-event.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import type { KmsKey } from '../domain/keys/key.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import { refuse } from '../domain/refusal.ts';
import { noticeWrite } from './agreement-notifications.ts';
import { dueAttributes } from './dynamodb/due-items.ts';
import type { Page, PageAsk } from './dynamodb/page.ts';
import { beginning, pageOf } from './dynamodb/page.ts';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { getAll, query } from './dynamodb/table.ts';
import type { Attempt, Outcome, Owned, WriteContext } from './dynamodb/versioned-item.ts';
import { change, changeExisting, ownedFrom, read, unwritten, wasDone, writesOf } from './dynamodb/versioned-item.ts';
import { issuingWrites } from './keys.ts';

export function agreementKey(agreementId: string): ItemKey {
  return { PK: `AGREEMENT#${agreementId}`, SK: 'AGREEMENT' };
}

/** Reads an agreement with its version. */
export function readAgreement(store: Store, agreementId: string): Promise<Owned<Agreement> | undefined> {
  return read<Agreement>(store, agreementKey(agreementId));
}

/** The agreement with this id; `undefined` when there is none. */
export async function findAgreement(store: Store, agreementId: string): Promise<Agreement | undefined> {
  return (await readAgreement(store, agreementId))?.state;
}

/** The agreements on whose contact list, or as whose Notices Correspondent, this e-mail is, by id (AGR-3). */
export async function agreementsOf(store: Store, email: string, { limit, after }: PageAsk): Promise<Page<Agreement>> {
  const pointers = await query(store, {
    partition: ['PK', personKey(email)],
    sort: {
      name: 'SK',
      condition: '#sort > :after',
      values: { ':after': beginning(after, 'AGREEMENT#') },
    },
    limit: limit + 1,
  });
  const page = pageOf(pointers, limit, ({ SK }) => SK);
  const items = await getAll(
    store,
    page.items.map(({ SK }) => agreementKey(SK.slice('AGREEMENT#'.length))),
  );
  return { items: items.map((item) => ownedFrom<Agreement>(item).state), next: page.next };
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
): Promise<Outcome<Agreement>> {
  return change(store, async (): Promise<Attempt<Agreement>> => {
    const existing = await readAgreement(store, agreement.agreementId);
    if (existing !== undefined) {
      if (wasDone(existing, context.operationId)) return { is: 'settled', answer: existing.state };
      const { agreementId } = agreement;
      return {
        is: 'refused',
        refused: refuse('agreement-exists', `Agreement ${agreementId} is registered already. Change it instead.`, {
          agreementId,
        }),
      };
    }
    const deed = {
      actor: context.actor,
      action: 'agreement-registered',
      detail: `${agreement.organization.name} was registered with ${agreement.contacts.length} authorized contacts.`,
      reference: context.operationId,
    };
    const pointers = peopleOf(agreement).map((email) => personPut(email, agreement.agreementId));
    return {
      is: 'to-write',
      answer: agreement,
      writes: [
        ...writesOf(unwritten(agreementKey(agreement.agreementId), agreement), {
          operation: context.operationId,
          now: context.now,
          deed,
        }),
        ...pointers,
        ...kmsWrites(store, agreement, drawKey, context),
      ],
    };
  });
}

function kmsWrites(
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
    status: { is: 'live' },
    grants: [
      {
        kind: 'initial',
        amount: context.policy.kms.hostPlaces,
        at: context.now,
        by: theService,
        reference: agreement.agreementId,
        approvedBy: null,
      },
    ],
    issuedAt: context.now,
    replaces: null,
    hosts: [],
    overrides: [],
  };
  return issuingWrites(store, { key, productKey, agreement }, { ...context, actor: theService });
}

/** Replaces the Authorized Contact List (AGR-2) and, with it, who may see the agreement (AGR-3). */
export function changeContacts(
  store: Store,
  agreementId: string,
  contacts: readonly Person[],
  context: Context,
): Promise<Outcome<Agreement> | undefined> {
  return changeAgreement(
    store,
    agreementId,
    (agreement) => ({
      agreement: { ...agreement, contacts },
      deed: {
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
): Promise<Outcome<Agreement> | undefined> {
  const { now, policy } = context;
  return changeAgreement(
    store,
    agreementId,
    (before) => {
      const agreement = nameCorrespondent(before, person, now, policy);
      const effectiveAt = agreement.pendingNoticesCorrespondent?.effectiveAt ?? now;
      const about = {
        is: 'correspondent-changes',
        from: noticesCorrespondentAt(before, now),
        to: person,
        effectiveAt,
      } as const;
      return {
        agreement,
        deed: {
          actor: context.actor,
          action: 'correspondent-named',
          detail: `${person.name} <${person.email}> becomes the Notices Correspondent at ${effectiveAt}.`,
          reference: context.operationId,
        },
        notices: noticesTo(
          readersOfChange(before, person, now),
          `correspondent ${agreementId} ${effectiveAt}`,
          before,
          about,
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
): Promise<Outcome<Agreement> | undefined> {
  return changeAgreement(
    store,
    agreementId,
    (before) => ({
      agreement: { ...settled(before, context.now), deputy },
      deed: {
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
export async function settleAgreement(store: Store, agreementId: string, now: Instant): Promise<void> {
  await changeAgreement(
    store,
    agreementId,
    (before) => {
      const agreement = settled(before, now);
      if (agreement === before) return 'nothing';
      const { name, email } = agreement.noticesCorrespondent;
      return {
        agreement,
        deed: {
          actor: theService,
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
export function agreementAttributes({
  pendingNoticesCorrespondent: pending,
}: Agreement): Readonly<Record<string, string>> {
  return dueAttributes('AGREEMENT', pending?.effectiveAt ?? null);
}

/** What a change of an agreement comes to, with the notices that it owes. */
type Next = { readonly agreement: Agreement; readonly deed: Deed; readonly notices?: readonly Notice[] };

function changeAgreement(
  store: Store,
  agreementId: string,
  next: (agreement: Agreement) => Next | 'nothing',
  { operationId: operation, now }: WriteContext,
): Promise<Outcome<Agreement> | undefined> {
  return changeExisting<Agreement, Agreement>(store, agreementKey(agreementId), (owned) => {
    if (operation !== null && wasDone(owned, operation)) return { is: 'settled', answer: owned.state };
    const changed = next(owned.state);
    if (changed === 'nothing') return { is: 'settled', answer: owned.state };
    const { agreement, deed, notices = [] } = changed;
    const before = new Set(peopleOf(owned.state));
    const after = new Set(peopleOf(agreement));
    return {
      is: 'to-write',
      answer: agreement,
      writes: [
        ...writesOf(
          { ...owned, state: agreement },
          { operation, now, deed, attributes: agreementAttributes(agreement) },
        ),
        ...notices.map((notice) => noticeWrite(notice, now)),
        ...[...after].filter((email) => !before.has(email)).map((email) => personPut(email, agreementId)),
        ...[...before].filter((email) => !after.has(email)).map((email) => personDelete(email, agreementId)),
      ],
    };
  });
}

/**
 * Whom a pointer leads to the agreement, by normalized e-mail (AGR-3). It follows from what is written alone: a new Notices
 * Correspondent gets one when the agreement is settled.
 */
export function peopleOf(agreement: Agreement): readonly string[] {
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
