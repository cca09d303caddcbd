import type { Product, ProductGroup } from './catalog.ts';
import { productGroups } from './catalog.ts';
import type { CivilDate, Instant } from './instant.ts';
import { isBefore } from './instant.ts';
import type { Policy } from './policy.ts';

export const programs = ['enterprise', 'select', 'campus-and-school', 'open'] as const;
export type Program = (typeof programs)[number];

export const levels = ['A', 'B', 'C', 'D'] as const;
export type Level = (typeof levels)[number];

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
  /** Counts the changes of who is asked, so that a link sent to an earlier person is known as such (AGR-4). */
  readonly correspondentVersion: number;
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
export function contactWith(email: string, agreement: Agreement): Person | undefined {
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
const lettersOnly = new Intl.Collator('und', { sensitivity: 'base' });

function sameName(one: string, other: string): boolean {
  return lettersOnly.compare(withoutSpaces(one), withoutSpaces(other)) === 0;
}

function withoutSpaces(text: string): string {
  return text.replace(/\s/g, '');
}

/** Who is the Notices Correspondent at a moment: a named successor takes over when the waiting period ends (AGR-4). */
export function noticesCorrespondentAt(agreement: Agreement, now: Instant): Person {
  const pending = agreement.pendingNoticesCorrespondent;
  return pending !== null && !isBefore(now, pending.effectiveAt) ? pending.person : agreement.noticesCorrespondent;
}

/** Whether this e-mail may see the agreement as a customer: on the contact list, or the Notices Correspondent (AGR-3). */
export function isCustomerOf(email: string, agreement: Agreement, now: Instant): boolean {
  return contactWith(email, agreement) !== undefined || sameEmail(noticesCorrespondentAt(agreement, now).email, email);
}

/** How many licenses the agreement has of a product group. */
export function licensesOf(group: ProductGroup, agreement: Agreement, policy: Policy): number {
  return agreement.products
    .filter(({ product }) => policy.catalog[product].group === group)
    .reduce((sum, { licenses }) => sum + licenses, 0);
}

/** The product groups that the agreement has licenses of, lowest first. */
export function groupsCovered(agreement: Agreement, policy: Policy): readonly ProductGroup[] {
  return productGroups.filter((group) => licensesOf(group, agreement, policy) > 0);
}

/**
 * The group of the KMS key that an agreement gets by itself: the highest it has licenses of, since a KMS key covers
 * every lower group too. `undefined` when the agreement does not cover Windows Vista (KEY-1).
 */
export function kmsGroupOf(agreement: Agreement, policy: Policy): ProductGroup | undefined {
  const covered = groupsCovered(agreement, policy);
  return covered.includes('client') ? covered.at(-1) : undefined;
}

/**
 * The limit a MAK starts with (KEY-4): by program, level and the licenses of the key's group, rounded up to the step,
 * never below the floor.
 */
export function initialMakLimit(group: ProductGroup, agreement: Agreement, policy: Policy): number {
  const { floor, roundUpTo, activationsPerLicense } = policy.initialMakLimit;
  const perLicense = activationsPerLicense[agreement.program][agreement.level ?? 'none'];
  const wanted = Math.round(licensesOf(group, agreement, policy) * perLicense * 100) / 100;
  return Math.max(floor, Math.ceil(wanted / roundUpTo) * roundUpTo);
}
