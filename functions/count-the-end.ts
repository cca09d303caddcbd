import { spentUntil } from '../domain/clock.ts';
import { askOf, type ExceptionRequest } from '../domain/exception.ts';
import type { Instant } from '../domain/instant.ts';
import type { Policy } from '../domain/policy.ts';
import { count } from './observe.ts';

/** Counts how a request ended, what was decided, and how long it was with whom (SLA-4). */
export function countTheEnd(request: ExceptionRequest, now: Instant, policy: Policy): void {
  count('requests', request.stage.is);
  const decision = askOf(request)?.decision ?? null;
  if (decision !== null) count('approvals', decision.decision);
  for (const [holder, minutes] of Object.entries(spentUntil(request.clock, now, policy))) {
    count('answerMinutes', holder, minutes);
  }
}
