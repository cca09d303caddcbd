/** What somebody did, as the history of a key, a request or an agreement tells it (LED-1). Never holds a secret. */
export type AuditEvent = {
  /** Who did it: an e-mail address, or the name of the part of the service that acted by itself. */
  readonly actor: string;
  /** A stable name such as `limit-raised`. */
  readonly action: string;
  /** What and why, in a sentence for a person. */
  readonly detail: string;
  /** The call, request, approval or operation under which it was done; null when there is none. */
  readonly reference: string | null;
};

/** The actor of everything that the service does by itself. */
export const serviceActor = 'volume-activation';
