import type { Instant } from '../../domain/calendar/instant.ts';
import { askOf, type ExceptionRequest, isFinal } from '../../domain/exceptions/request.ts';
import { spentUntil } from '../../domain/exceptions/sla-clock.ts';
import type { Policy } from '../../domain/policy.ts';
import { count } from '../runtime/observability.ts';

/**
 * Counts a request in the state that it came into; one that has ended also by what was decided, and by how long it was with
 * whom (SLA-4).
 */
export function countRequest(request: ExceptionRequest, now: Instant, policy: Policy): void {
  count('requests', request.stage.is);
  if (!isFinal(request)) return;
  const decision = askOf(request)?.decision ?? null;
  if (decision !== null) count('approvals', decision.decision);
  for (const [holder, minutes] of Object.entries(spentUntil(request.clock, now, policy))) {
    count('answerMinutes', holder, minutes);
  }
}
