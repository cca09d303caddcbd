import type { Instant } from '../domain/calendar/instant.ts';
import type { KeyType } from '../domain/catalog.ts';
import type { DirectRecipient } from '../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import type { Policy } from '../domain/policy.ts';
import type { Secret } from '../domain/secret.ts';
import type { EmailContent } from './layout.ts';

/** All that a letter is written from. The request is as it stands when the letter goes out, which may be after it was owed. */
export type EmailContext = {
  readonly request: ExceptionRequest;
  readonly to: {
    readonly role: DirectRecipient;
    readonly name: string;
    /** Whom the reader stands in for, when it is the Correspondent's deputy who is asked as well (AGR-5). */
    readonly deputyOf?: string;
  };
  /** The agreement's own name of the organization; the request brought one too. */
  readonly organizationName: string;
  readonly lastFive: string;
  readonly keyType: KeyType;
  /** The key's limit now: activations of a MAK, host places of a KMS key. */
  readonly limit: number;
  readonly productName: string;
  readonly correspondentName: string;
  /** What the requester answered to the team's question, for the letter that tells of it; null when it is not at hand. */
  readonly answer: string | null;
  readonly now: Instant;
  readonly policy: Policy;
  /** Where readers can sign in and see the request; without it the letters name no such place. */
  readonly consoleUrl?: string;
  readonly link: EmailLink | null;
};

/**
 * The link that a letter carries. `approval-wanted` and `approval-reminder` always have one, and in strict mode no code
 * with it. `approval-code` brings that code later, and when it expires; it does not print the link (APR-7). `decided` to
 * the Correspondent may have a link that says "this was not me" (APR-8).
 */
export type EmailLink = { readonly url: Secret; readonly code: Secret | null; readonly expiresAt: Instant };

/** Writes one letter; `undefined` when the request has moved on and the letter would no longer be true. */
export type EmailTemplate = (context: EmailContext) => EmailContent | undefined;
