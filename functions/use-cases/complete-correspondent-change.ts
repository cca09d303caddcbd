import type { Instant } from '../../domain/calendar/instant.ts';
import { restartApproval } from '../../domain/exceptions/approval.ts';
import { openRoundOf } from '../../domain/exceptions/request.ts';
import { applyCorrespondentChange, findAgreement } from '../../store/agreements.ts';
import { listExceptions, transitionException } from '../../store/exceptions.ts';
import type { Store } from '../../store/store.ts';

/**
 * Completes the change to a new Notices Correspondent once the waiting period is over (AGR-4). It restarts every open
 * approval round with the new person, which voids the links that were sent, and then updates the agreement. In this
 * order, a run after a crash finds what is left; each part has no effect the second time.
 */
export async function completeCorrespondentChange(store: Store, agreementId: string, now: Instant): Promise<void> {
  const pending = (await findAgreement(store, agreementId))?.pendingNoticesCorrespondent;
  if (pending === undefined || pending === null || now < pending.effectiveAt) return;
  const context = { operationId: `restart-approval ${pending.effectiveAt}`, now, policy: store.policy };
  for (let after: string | null = null, hasMore = true; hasMore; ) {
    const page = await listExceptions(
      store,
      { status: 'awaiting-approval', agreementIds: [agreementId] },
      { limit: 100, after },
    );
    for (const { exceptionId } of page.items) {
      await transitionException(
        store,
        exceptionId,
        (request) =>
          // A recorded decision stays: the Correspondent at that time made it.
          openRoundOf(request) === null ? 'no-change' : restartApproval(request, context),
        context,
      );
    }
    after = page.next;
    hasMore = after !== null;
  }
  await applyCorrespondentChange(store, agreementId, now);
}
