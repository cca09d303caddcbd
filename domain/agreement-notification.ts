import type { Agreement, Person } from './agreement.ts';
import { normalizeEmail, noticesCorrespondentAt } from './agreement.ts';
import type { Instant } from './calendar/instant.ts';
import type { KeyType } from './catalog.ts';

/** A pending email about an agreement or a key, rather than a request. It holds everything that the email says. */
export type AgreementNotification = {
  /** The same for the same event and recipient, so that a repeated write adds no second email. */
  readonly notificationId: string;
  readonly to: { readonly name: string; readonly email: string };
  readonly organizationName: string;
  readonly agreementId: string;
  readonly content: AgreementNotificationContent;
};

export type AgreementNotificationContent =
  /** Another person becomes the Notices Correspondent (AGR-4). */
  | {
      readonly kind: 'correspondent-changes';
      readonly from: Person;
      readonly to: Person;
      readonly effectiveAt: Instant;
    }
  /** A share of a key's limit is used (ALR-1), with the forecast as a sentence if there is one (ALR-2). */
  | {
      readonly kind: 'limit-used';
      readonly keyType: KeyType;
      readonly lastFive: string;
      readonly percent: number;
      readonly used: number;
      readonly limit: number;
      readonly forecast: string | null;
    }
  /** New hosts arrive so fast that the KMS key is probably used on client computers (KMS-4). */
  | {
      readonly kind: 'kms-key-on-clients';
      readonly lastFive: string;
      readonly hosts: number;
      readonly withinHours: number;
    }
  /** A key was blocked and replaced by a new one (BLK-2). */
  | {
      readonly kind: 'key-replaced';
      readonly keyType: KeyType;
      readonly blockedLastFive: string;
      readonly issuedLastFive: string;
      readonly reason: string;
    };

/** Returns one notification for each recipient. Recipients with the same email address get one. */
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

/** Lists the recipients of a change of the Notices Correspondent: all contacts and both correspondents (AGR-4). */
export function correspondentChangeRecipients(
  agreement: Agreement,
  successor: Person,
  now: Instant,
): readonly Person[] {
  return [...agreement.contacts, noticesCorrespondentAt(agreement, now), successor];
}
