import type { Agreement, Person } from './agreement.ts';
import { normalizeEmail, noticesCorrespondentAt } from './agreement.ts';
import type { Instant } from './calendar/instant.ts';
import type { KeyType } from './catalog.ts';

/** A mail that is owed and is about no request: about an agreement or a key. It holds all that its letter says. */
export type AgreementNotification = {
  /** Always the same for the same occasion and reader, so that what is written twice is owed once. */
  readonly notificationId: string;
  readonly to: { readonly name: string; readonly email: string };
  readonly organizationName: string;
  readonly agreementId: string;
  readonly content: AgreementNotificationContent;
};

export type AgreementNotificationContent =
  /** Somebody else becomes the Notices Correspondent (AGR-4). */
  | {
      readonly kind: 'correspondent-changes';
      readonly from: Person;
      readonly to: Person;
      readonly effectiveAt: Instant;
    }
  /** So much of a key's limit is used (ALR-1), with the forecast in words where there is one (ALR-2). */
  | {
      readonly kind: 'limit-used';
      readonly keyType: KeyType;
      readonly lastFive: string;
      readonly percent: number;
      readonly used: number;
      readonly limit: number;
      readonly forecast: string | null;
    }
  /** New hosts came so fast that the KMS key is probably typed on clients (KMS-4). */
  | {
      readonly kind: 'kms-key-on-clients';
      readonly lastFive: string;
      readonly hosts: number;
      readonly withinHours: number;
    }
  /** A key was blocked and another took its place (BLK-2). */
  | {
      readonly kind: 'key-replaced';
      readonly keyType: KeyType;
      readonly blockedLastFive: string;
      readonly issuedLastFive: string;
      readonly reason: string;
    };

/** One notice for each reader of an occasion. */
export function notificationsFor(
  recipients: readonly Pick<Person, 'name' | 'email'>[],
  dedupKey: string,
  agreement: Pick<Agreement, 'agreementId' | 'organization'>,
  content: AgreementNotificationContent,
): readonly AgreementNotification[] {
  const byEmail = new Map(recipients.map((recipient) => [normalizeEmail(recipient.email), recipient]));
  return [...byEmail].map(([email, { name }]) => ({
    notificationId: `${dedupKey}#${email}`,
    to: { name, email },
    organizationName: agreement.organization.name,
    agreementId: agreement.agreementId,
    content,
  }));
}

/** Who hears of a change of the Notices Correspondent: every contact, and both correspondents (AGR-4). */
export function correspondentChangeRecipients(
  agreement: Agreement,
  successor: Person,
  now: Instant,
): readonly Person[] {
  return [...agreement.contacts, noticesCorrespondentAt(agreement, now), successor];
}
