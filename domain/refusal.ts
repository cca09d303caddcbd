import type { Instant } from './calendar/instant.ts';
import type { Product } from './catalog.ts';
import type { ExceptionStatus, ManualTransition } from './exception-status.ts';
import type { ExceptionDraft, Remedy } from './remedy.ts';

/**
 * Every refusal of the rules and of the HTTP boundary, with its members. A refusal is a value and is never thrown. Its
 * `code` is a stable name that programs rely on. Its `detail` is a sentence for a person that says what to do next.
 */
export type RefusalMembers = {
  // HTTP boundary
  'invalid-request': { readonly errors: readonly FieldError[] };
  'malformed-json': NoMembers;
  'unsupported-media-type': NoMembers;
  'too-large': NoMembers;
  unauthenticated: NoMembers;
  forbidden: NoMembers;
  'not-found': NoMembers;
  'method-not-allowed': NoMembers;
  'idempotency-key-reused': NoMembers;
  'request-in-progress': NoMembers;
  // Agreements and keys
  'agreement-exists': { readonly agreementId: string };
  'mak-already-issued': { readonly keyId: string };
  'wrong-key-type': NoMembers;
  'key-blocked': { readonly replacedBy: string | null };
  'product-not-covered': { readonly covers: readonly Product[] };
  // Activation
  'unknown-key': NoMembers;
  'invalid-installation-id': { readonly groups: readonly number[] };
  'activation-limit-reached': { readonly limit: number; readonly used: number; readonly remedies: readonly Remedy[] };
  // Call center
  'override-used-today': { readonly availableAt: Instant };
  'overrides-exhausted': { readonly draft: ExceptionDraft };
  'above-call-center-limit': { readonly maximumLimit: number; readonly draft: ExceptionDraft };
  'limit-not-raised': { readonly limit: number };
  // Exception requests
  'requester-not-authorized': NoMembers;
  'key-not-found': NoMembers;
  'not-an-exception': { readonly remedies: readonly Remedy[] };
  'exception-already-open': { readonly exceptionId: string };
  'not-in-that-state': { readonly currentStatus: ExceptionStatus; readonly allowed: readonly ManualTransition[] };
  // Approval link
  'link-unknown': NoMembers;
  'link-void': { readonly because: 'replaced' | 'too-many-wrong-codes' | 'late' | 'closed' };
  'already-decided': { readonly decision: 'approve' | 'deny'; readonly decidedAt: Instant };
  'wrong-code': { readonly triesLeft: number };
};

type NoMembers = Readonly<Record<never, never>>;

export type RefusalCode = keyof RefusalMembers;

export type RefusalOf<Code extends RefusalCode> = {
  readonly code: Code;
  readonly detail: string;
} & RefusalMembers[Code];

export type Refusal = { [Code in RefusalCode]: RefusalOf<Code> }[RefusalCode];

/** An invalid or missing field: a JSON pointer to it, and a message that follows its name. */
export type FieldError = { readonly pointer: string; readonly message: string };

export type RefusalResult = { readonly ok: false; readonly refusal: Refusal };

/** The result of a rule: its outcome, or a refusal. */
export type Result<Outcome extends object> = ({ readonly ok: true } & Outcome) | RefusalResult;

/** Builds a refusal. The compiler requires exactly the members of its code. */
export function refuse<Code extends RefusalCode>(
  code: Code,
  detail: string,
  ...members: keyof RefusalMembers[Code] extends never ? [] : [RefusalMembers[Code]]
): { readonly ok: false; readonly refusal: RefusalOf<Code> } {
  const [extraMembers] = members;
  return { ok: false, refusal: { code, detail, ...extraMembers } as RefusalOf<Code> };
}
