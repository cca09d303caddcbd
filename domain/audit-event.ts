/** The actions of ledger entries (LED-1). Clients read them, so an action is never renamed. */
export type AuditAction =
  // Agreements
  | 'agreement-registered'
  | 'contacts-changed'
  | 'correspondent-named'
  | 'correspondent-changed'
  | 'deputy-named'
  // Keys
  | 'key-issued'
  | 'key-revealed'
  | 'override-granted'
  | 'limit-raised'
  | 'replacement-begun'
  | 'key-blocked'
  // Exception requests
  | 'received'
  | 'review-begun'
  | 'question-put'
  | 'question-answered'
  | 'forwarded'
  | 'approval-asked'
  | 'link-voided'
  | 'approved'
  | 'denied'
  | 'decision-disputed'
  | 'fulfilled'
  | 'rejected'
  | 'withdrawn'
  | 'lapsed'
  | 'correspondent-reminded'
  | 'team-reminded'
  | 'supervisors-told'
  | 'mail-not-delivered'
  | 'mail-put-off'
  | 'mail-complained-of';

/** One event in the ledger of a key, a request, or an agreement (LED-1). It never holds a secret. */
export type AuditEvent = {
  /** An email address, or `serviceActor`. */
  readonly actor: string;
  readonly action: AuditAction;
  /** A sentence for a person: what happened, and why. */
  readonly detail: string;
  /** The call, request, approval, or operation that the event belongs to; null when there is none. */
  readonly reference: string | null;
};

/** The actor of events that the service causes by itself. */
export const serviceActor = 'volume-activation';
