import type { Instant } from './calendar/instant.ts';
import type { Policy } from './policy.ts';

/** The actor of an operation, its id, its time, and the policy that it follows. */
export type Context = {
  readonly actor: string;
  readonly operationId: string;
  readonly now: Instant;
  readonly policy: Policy;
};
