import { dayIn } from './calendar/business-time.ts';
import type { CivilDate, Instant } from './calendar/instant.ts';
import { addDuration, isBefore } from './calendar/instant.ts';
import type { Level, Product, ProductGroup, Program } from './catalog.ts';
import { productGroups } from './catalog.ts';
import type { Policy } from './policy.ts';

export type Person = { readonly name: string; readonly email: string; readonly phone: string };

/** An Open agreement is identified by two numbers together, any other program by one (AGR-1). */
export type AgreementNumbers =
  | { readonly agreementNumber: string }
  | { readonly authorizationNumber: string; readonly licenseNumber: string };

export type Agreement = {
  readonly agreementId: string;
  readonly program: Program;
  readonly level: Level | null;
  readonly numbers: AgreementNumbers;
  readonly organization: { readonly name: string; readonly country: string; readonly language: string };
  readonly products: readonly { readonly product: Product; readonly licenses: number }[];
  /** The Authorized Contact List: the people who can submit requests (AGR-2). Never empty. */
  readonly contacts: readonly Person[];
  readonly noticesCorrespondent: Person;
  /** The next Notices Correspondent, who takes over when the waiting period ends (AGR-4). */
  readonly pendingNoticesCorrespondent: { readonly person: Person; readonly effectiveAt: Instant } | null;
  /** The person who is asked as well, from one day to another, both included (AGR-5). */
  readonly deputy: { readonly person: Person; readonly from: CivilDate; readonly to: CivilDate } | null;
};

/**
 * Returns the id for people and URLs: the agreement number, or the authorization and license numbers joined (AGR-1).
 */
export function agreementIdOf(numbers: AgreementNumbers): string {
  return 'agreementNumber' in numbers
    ? numbers.agreementNumber
    : `${numbers.authorizationNumber}-${numbers.licenseNumber}`;
}

/** Compares two email addresses, ignoring case and surrounding spaces. All code compares them this way. */
export function sameEmail(one: string, other: string): boolean {
  return normalizeEmail(one) === normalizeEmail(other);
}

export function normalizeEmail(email: string): string {
  return email.trim().toLowerCase();
}

/** Finds the contact with this email on the Authorized Contact List. */
export function findContact(email: string, agreement: Agreement): Person | undefined {
  return agreement.contacts.find((contact) => sameEmail(contact.email, email));
}

/**
 * Returns true when a requester matches the Authorized Contact List by email and name (EXC-2). Case, spaces, and
 * accents are ignored, because people write their own names in more than one way.
 */
export function isAuthorizedRequester(requester: { name: string; email: string }, agreement: Agreement): boolean {
  return agreement.contacts.some(
    (contact) => sameEmail(contact.email, requester.email) && sameName(contact.name, requester.name),
  );
}

// Unicode collation at its base level compares letters without their case, width, and accents. It is correct for every
// script, which removing combining marks is not: the stroke of a Polish ł is an accent, a vowel sign of Hindi is a
// letter. It is created on first use, because that takes milliseconds and most functions compare no names.
let nameCollator: Intl.Collator | undefined;

function sameName(one: string, other: string): boolean {
  nameCollator ??= new Intl.Collator('und', { sensitivity: 'base' });
  return nameCollator.compare(withoutSpaces(one), withoutSpaces(other)) === 0;
}

function withoutSpaces(text: string): string {
  return text.replace(/\s/g, '');
}

/**
 * Returns the Notices Correspondent at an instant. A named successor takes over when the waiting period ends (AGR-4).
 */
export function noticesCorrespondentAt(agreement: Agreement, now: Instant): Person {
  const pending = agreement.pendingNoticesCorrespondent;
  return pending !== null && !isBefore(now, pending.effectiveAt) ? pending.person : agreement.noticesCorrespondent;
}

/** Returns the deputy of the Notices Correspondent, if one is named for the current day in the support zone (AGR-5). */
export function deputyAt(agreement: Agreement, now: Instant, policy: Policy): Person | undefined {
  const { deputy } = agreement;
  if (deputy === null) return undefined;
  const today = dayIn(now, policy.supportCalendar.zone);
  return deputy.from <= today && today <= deputy.to ? deputy.person : undefined;
}

/**
 * Returns true when this person can decide for the customer: the Notices Correspondent, or the deputy of the day
 * (AGR-4, AGR-5).
 */
export function isApproverAt(email: string, agreement: Agreement, now: Instant, policy: Policy): boolean {
  const approvers = [noticesCorrespondentAt(agreement, now), deputyAt(agreement, now, policy)];
  return approvers.some((person) => person !== undefined && sameEmail(person.email, email));
}

/**
 * Names a new Notices Correspondent, who takes over when the waiting period ends (AGR-4). The new name replaces one
 * that is still waiting. A successor whose waiting period has ended becomes the current Correspondent first.
 */
export function nameCorrespondent(agreement: Agreement, person: Person, now: Instant, policy: Policy): Agreement {
  const effectiveAt = addDuration(now, { hours: policy.noticesCorrespondent.waitingHours });
  return { ...withEffectiveCorrespondent(agreement, now), pendingNoticesCorrespondent: { person, effectiveAt } };
}

/**
 * Completes a change of the Notices Correspondent whose waiting period has ended (AGR-4). It also ends the former one's
 * deputy.
 */
export function withEffectiveCorrespondent(agreement: Agreement, now: Instant): Agreement {
  const pending = agreement.pendingNoticesCorrespondent;
  if (pending === null || isBefore(now, pending.effectiveAt)) return agreement;
  return { ...agreement, noticesCorrespondent: pending.person, pendingNoticesCorrespondent: null, deputy: null };
}

/** Returns true for a customer of the agreement: a contact, or the Notices Correspondent (AGR-3). */
export function isCustomerOf(email: string, agreement: Agreement, now: Instant): boolean {
  return findContact(email, agreement) !== undefined || sameEmail(noticesCorrespondentAt(agreement, now).email, email);
}

/** Returns the number of licenses for a product group. */
export function licensesOf(group: ProductGroup, agreement: Agreement, policy: Policy): number {
  return agreement.products
    .filter(({ product }) => policy.catalog[product].group === group)
    .reduce((sum, { licenses }) => sum + licenses, 0);
}

/** Lists the product groups that the agreement has licenses for, lowest first. */
export function coveredProductGroups(agreement: Agreement, policy: Policy): readonly ProductGroup[] {
  return productGroups.filter((group) => licensesOf(group, agreement, policy) > 0);
}

/**
 * Returns the group of the KMS key that is issued automatically: the highest group with licenses, because a KMS key
 * covers every lower group too. `undefined` when the agreement does not cover Windows Vista (KEY-1).
 */
export function kmsGroupOf(agreement: Agreement, policy: Policy): ProductGroup | undefined {
  const groups = coveredProductGroups(agreement, policy);
  return groups.includes('client') ? groups.at(-1) : undefined;
}

/**
 * Returns the initial limit of a MAK (KEY-4). It follows from the program, the level, and the licenses of the key's
 * group, is rounded up to the step, and is never below the floor.
 */
export function initialMakLimit(group: ProductGroup, agreement: Agreement, policy: Policy): number {
  return makLimitFor(licensesOf(group, agreement, policy), agreement.program, agreement.level, policy);
}

/** Returns the initial limit of a MAK for a number of licenses of its group (KEY-4). */
export function makLimitFor(licenses: number, program: Program, level: Level | null, policy: Policy): number {
  const { floor, roundUpTo, activationsPerLicense } = policy.initialMakLimit;
  const exactLimit = Math.round(licenses * activationsPerLicense[program][level ?? 'none'] * 100) / 100;
  return Math.max(floor, Math.ceil(exactLimit / roundUpTo) * roundUpTo);
}
