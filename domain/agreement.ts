import { dayIn } from './calendar/business-time.ts';
import type { CivilDate, Instant } from './calendar/instant.ts';
import { addDuration, isBefore } from './calendar/instant.ts';
import type { Level, Product, ProductGroup, Program } from './catalog.ts';
import { productGroups } from './catalog.ts';
import type { Policy } from './policy.ts';
export type Person = { readonly name: string; readonly email: string; readonly phone: string };

/** Open is known by two numbers together, every other program by one (AGR-1). */
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
  /** The Authorized Contact List: who may ask (AGR-2). Never empty. */
  readonly contacts: readonly Person[];
  readonly noticesCorrespondent: Person;
  /** Who will be the Notices Correspondent once the waiting period is over (AGR-4). */
  readonly pendingNoticesCorrespondent: { readonly person: Person; readonly effectiveAt: Instant } | null;
  /** Who is asked as well between two days, both included (AGR-5). */
  readonly deputy: { readonly person: Person; readonly from: CivilDate; readonly to: CivilDate } | null;
};

/** The id that people and paths use: the agreement number, or authorization and license number joined (AGR-1). */
export function agreementIdOf(numbers: AgreementNumbers): string {
  return 'agreementNumber' in numbers
    ? numbers.agreementNumber
    : `${numbers.authorizationNumber}-${numbers.licenseNumber}`;
}

/** E-mail addresses are compared without regard to case or surrounding space, everywhere. */
export function sameEmail(one: string, other: string): boolean {
  return normalizeEmail(one) === normalizeEmail(other);
}

export function normalizeEmail(email: string): string {
  return email.trim().toLowerCase();
}

/** The contact with this e-mail on the Authorized Contact List, if any. */
export function findContact(email: string, agreement: Agreement): Person | undefined {
  return agreement.contacts.find((contact) => sameEmail(contact.email, email));
}

/**
 * Whether a requester matches the Authorized Contact List by e-mail and name (EXC-2). Case, spaces and diacritics do
 * not matter: people write their own names in more than one way.
 */
export function isAuthorizedRequester(requester: { name: string; email: string }, agreement: Agreement): boolean {
  return agreement.contacts.some(
    (contact) => sameEmail(contact.email, requester.email) && sameName(contact.name, requester.name),
  );
}

// Unicode's own collation at its base level: the letters alone count, not their case, width or accents. It knows every
// script, as stripping marks by hand does not: the stroke of a Polish ł is an accent, a vowel sign of Hindi is a letter.
// Made when first needed: it takes milliseconds, and most functions compare no names.
let nameCollator: Intl.Collator | undefined;

function sameName(one: string, other: string): boolean {
  nameCollator ??= new Intl.Collator('und', { sensitivity: 'base' });
  return nameCollator.compare(withoutSpaces(one), withoutSpaces(other)) === 0;
}

function withoutSpaces(text: string): string {
  return text.replace(/\s/g, '');
}

/** Who is the Notices Correspondent at a moment: a named successor takes over when the waiting period ends (AGR-4). */
export function noticesCorrespondentAt(agreement: Agreement, now: Instant): Person {
  const pending = agreement.pendingNoticesCorrespondent;
  return pending !== null && !isBefore(now, pending.effectiveAt) ? pending.person : agreement.noticesCorrespondent;
}

/** The deputy of the Notices Correspondent on the day that it is in a zone, if one is named for that day (AGR-5). */
export function deputyAt(agreement: Agreement, now: Instant, policy: Policy): Person | undefined {
  const { deputy } = agreement;
  if (deputy === null) return undefined;
  const today = dayIn(now, policy.supportCalendar.zone);
  return deputy.from <= today && today <= deputy.to ? deputy.person : undefined;
}

/** Who may decide for the customer at a moment: the Notices Correspondent and, inside the named days, the deputy (AGR-4, AGR-5). */
export function isApproverAt(email: string, agreement: Agreement, now: Instant, policy: Policy): boolean {
  const approvers = [noticesCorrespondentAt(agreement, now), deputyAt(agreement, now, policy)];
  return approvers.some((person) => person !== undefined && sameEmail(person.email, email));
}

/**
 * Names a new Notices Correspondent, who takes over when the waiting period is over (AGR-4). One that was named before
 * and is still waiting is replaced; one whose time has come is the one that is replaced now.
 */
export function nameCorrespondent(agreement: Agreement, person: Person, now: Instant, policy: Policy): Agreement {
  const effectiveAt = addDuration(now, { hours: policy.noticesCorrespondent.waitingHours });
  return { ...withEffectiveCorrespondent(agreement, now), pendingNoticesCorrespondent: { person, effectiveAt } };
}

/** The agreement with a successor whose time has come as its Notices Correspondent (AGR-4). A deputy was the former one's. */
export function withEffectiveCorrespondent(agreement: Agreement, now: Instant): Agreement {
  const pending = agreement.pendingNoticesCorrespondent;
  if (pending === null || isBefore(now, pending.effectiveAt)) return agreement;
  return { ...agreement, noticesCorrespondent: pending.person, pendingNoticesCorrespondent: null, deputy: null };
}

/** Whether this e-mail may see the agreement as a customer: on the contact list, or the Notices Correspondent (AGR-3). */
export function isCustomerOf(email: string, agreement: Agreement, now: Instant): boolean {
  return findContact(email, agreement) !== undefined || sameEmail(noticesCorrespondentAt(agreement, now).email, email);
}

/** How many licenses the agreement has of a product group. */
export function licensesOf(group: ProductGroup, agreement: Agreement, policy: Policy): number {
  return agreement.products
    .filter(({ product }) => policy.catalog[product].group === group)
    .reduce((sum, { licenses }) => sum + licenses, 0);
}

/** The product groups that the agreement has licenses of, lowest first. */
export function coveredProductGroups(agreement: Agreement, policy: Policy): readonly ProductGroup[] {
  return productGroups.filter((group) => licensesOf(group, agreement, policy) > 0);
}

/**
 * The group of the KMS key that an agreement gets by itself: the highest it has licenses of, since a KMS key covers
 * every lower group too. `undefined` when the agreement does not cover Windows Vista (KEY-1).
 */
export function kmsGroupOf(agreement: Agreement, policy: Policy): ProductGroup | undefined {
  const groups = coveredProductGroups(agreement, policy);
  return groups.includes('client') ? groups.at(-1) : undefined;
}

/**
 * The limit a MAK starts with (KEY-4): by program, level and the licenses of the key's group, rounded up to the step,
 * never below the floor.
 */
export function initialMakLimit(group: ProductGroup, agreement: Agreement, policy: Policy): number {
  return makLimitFor(licensesOf(group, agreement, policy), agreement.program, agreement.level, policy);
}

/** The limit a MAK starts with for so many licenses of its group (KEY-4). */
export function makLimitFor(licenses: number, program: Program, level: Level | null, policy: Policy): number {
  const { floor, roundUpTo, activationsPerLicense } = policy.initialMakLimit;
  const exactLimit = Math.round(licenses * activationsPerLicense[program][level ?? 'none'] * 100) / 100;
  return Math.max(floor, Math.ceil(exactLimit / roundUpTo) * roundUpTo);
}
