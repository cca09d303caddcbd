import type { AgreementNumbers } from './agreement.ts';
import type { Instant } from './calendar/instant.ts';
import type { Product } from './catalog.ts';

export const exceptionKinds = ['MAKADD', 'KMSADD'] as const;
export type ExceptionKind = (typeof exceptionKinds)[number];

/** A request, begun for somebody with what the system knows already. */
export type ExceptionDraft = AgreementNumbers & {
  readonly kind: ExceptionKind;
  readonly organizationName: string;
  readonly product?: Product;
  readonly keyLastFive: string;
  readonly activationsRequested: number;
};

/** A way out of a refusal, and whether it is open now. `maximum` is how many more activations it could give. */
export type Remedy = {
  readonly kind: 'call-center-increase' | 'override' | ExceptionKind | 'replacement';
  readonly available: boolean;
  readonly availableAt?: Instant;
  readonly maximum?: number;
  readonly draft?: ExceptionDraft;
};
