import type { AgreementNumbers } from './agreement.ts';
import type { Instant } from './calendar/instant.ts';
import type { Product } from './catalog.ts';

export const exceptionKinds = ['MAKADD', 'KMSADD'] as const;
export type ExceptionKind = (typeof exceptionKinds)[number];

/** A draft of an exception request, with everything that the service already knows. */
export type ExceptionDraft = AgreementNumbers & {
  readonly kind: ExceptionKind;
  readonly organizationName: string;
  readonly product?: Product;
  readonly keyLastFive: string;
  readonly activationsRequested: number;
};

/** A way to get past a refusal, and whether it is available now. `maximum` is how many more activations it can add. */
export type Remedy = {
  readonly kind: 'call-center-increase' | 'override' | ExceptionKind | 'replacement';
  readonly available: boolean;
  readonly availableAt?: Instant;
  readonly maximum?: number;
  readonly draft?: ExceptionDraft;
};
