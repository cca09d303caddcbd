import type { Instant } from '../domain/calendar/instant.ts';
import type { KeyType } from '../domain/catalog.ts';
import type { DirectRecipient } from '../domain/exceptions/notification.ts';
import type { ExceptionRequest } from '../domain/exceptions/request.ts';
import type { Policy } from '../domain/policy.ts';
import type { Secret } from '../domain/secret.ts';
import type { EmailContent } from './layout.ts';

/**
 * Everything that an email about a request is rendered from. The request is in its state at the time of sending, which
 * may be later than the event that the email reports.
 */
export type EmailContext = {
  readonly request: ExceptionRequest;
  readonly to: {
    readonly role: DirectRecipient;
    readonly name: string;
    /** The Notices Correspondent's name, if the reader is their deputy (AGR-5). */
    readonly deputyOf?: string;
  };
  /** The organization's name in the agreement. The request has one of its own. */
  readonly organizationName: string;
  readonly lastFive: string;
  readonly keyType: KeyType;
  /** The key's current limit: activations of a MAK, hosts of a KMS key. */
  readonly limit: number;
  readonly productName: string;
  readonly correspondentName: string;
  /** The requester's answer to the team's question, for the email that reports it; null if it is not loaded. */
  readonly answer: string | null;
  readonly now: Instant;
  readonly policy: Policy;
  /** The address of the console, where readers sign in and see the request. Without it, emails have no link to it. */
  readonly consoleUrl?: string;
  readonly link: EmailLink | null;
};

/**
 * The link that an email carries. `approval-requested` and `approval-reminder` always have one, in strict mode without
 * a code. `approval-code` brings that code later, with its expiry, and does not print the link (APR-7). `decided` to
 * the Correspondent may have a link to “This was not me” (APR-8).
 */
export type EmailLink = { readonly url: Secret; readonly code: Secret | null; readonly expiresAt: Instant };

/** Renders one email. Returns `undefined` if the request has changed and the email would no longer be true. */
export type EmailTemplate = (context: EmailContext) => EmailContent | undefined;
