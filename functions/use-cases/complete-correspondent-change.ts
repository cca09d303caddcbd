import { restartApproval } from '../../domain/exceptions/request.ts';
import type { Instant } from '../../domain/calendar/instant.ts';
import { findAgreement, applyCorrespondentChange } from '../../store/agreements.ts';
import { listExceptions, transitionException } from '../../store/exceptions.ts';
import type { Store } from '../../store/dynamodb/table.ts';

/**
 * Lets a new Notices Correspondent take over when the waiting period is over (AGR-4): every question that is out is asked
 * anew, of the new person, which voids the links that are out; then the agreement itself is settled. In this order, so
 * that what a crash leaves undone is found again; each part does nothing more when it is done again.
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
          // One whose approval is recorded was decided by who was the Correspondent then.
          request.state.status === 'awaiting-approval' && request.state.round.decision === null
            ? restartApproval(request, context)
            : 'no-change',
        context,
      );
    }
    after = page.next;
    hasMore = after !== null;
  }
  await applyCorrespondentChange(store, agreementId, now);
}
