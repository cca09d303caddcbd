import type { Instant } from '../../domain/calendar/instant.ts';
import { approvalRoundOf, type ExceptionRequest, isFinal } from '../../domain/exceptions/request.ts';
import { elapsedUntil } from '../../domain/exceptions/sla-clock.ts';
import type { Policy } from '../../domain/policy.ts';
import { countBusinessEvent } from '../runtime/observability.ts';

/** Counts a request by its new state, and a closed one also by its decision and its elapsed minutes by assignee (SLA-4). */
export function recordRequestMetrics(request: ExceptionRequest, now: Instant, policy: Policy): void {
  countBusinessEvent('requests', request.state.status);
  if (!isFinal(request)) return;
  const decision = approvalRoundOf(request)?.decision ?? null;
  if (decision !== null) countBusinessEvent('approvals', decision.decision);
  for (const [assignee, minutes] of Object.entries(elapsedUntil(request.clock, now, policy))) {
    countBusinessEvent('elapsedMinutes', assignee, minutes);
  }
}
