import type { Instant } from './calendar/instant.ts';
import type { Policy } from './policy.ts';

/** Who acts, under which operation id, when, and by which policy. */
export type Context = {
  readonly actor: string;
  readonly operationId: string;
  readonly now: Instant;
  readonly policy: Policy;
};
