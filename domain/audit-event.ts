/** One event in the ledger of a key, a request, or an agreement (LED-1). It never holds a secret. */
export type AuditEvent = {
  /** An email address, or `serviceActor`. */
  readonly actor: string;
  /** A stable name, such as `limit-raised`. */
  readonly action: string;
  /** A sentence for a person: what happened, and why. */
  readonly detail: string;
  /** The call, request, approval, or operation that the event belongs to; null when there is none. */
  readonly reference: string | null;
};

/** The actor of events that the service causes by itself. */
export const serviceActor = 'volume-activation';
