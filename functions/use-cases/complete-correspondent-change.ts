import type { Instant } from '../../domain/calendar/instant.ts';
import { askAnew } from '../../domain/exceptions/request.ts';
import { findAgreement, settleAgreement } from '../../store/agreements.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { listExceptions, moveException } from '../../store/exceptions.ts';

/**
 * Lets a new Notices Correspondent take over when the waiting period is over (AGR-4): every question that is out is asked
 * anew, of the new person, which voids the links that are out; then the agreement itself is settled. In this order, so
 * that what a crash leaves undone is found again; each part does nothing more when it is done again.
 */
export async function settleCorrespondent(store: Store, agreementId: string, now: Instant): Promise<void> {
  const pending = (await findAgreement(store, agreementId))?.pendingNoticesCorrespondent;
  if (pending === undefined || pending === null || now < pending.effectiveAt) return;
  const context = { operationId: `ask anew ${pending.effectiveAt}`, now, policy: store.policy };
  for (let after: string | null = null, more = true; more; ) {
    const page = await listExceptions(
      store,
      { status: 'awaiting-approval', agreementIds: [agreementId] },
      { limit: 100, after },
    );
    for (const { exceptionId } of page.items) {
      await moveException(
        store,
        exceptionId,
        (request) =>
          // One whose approval is recorded was decided by who was the Correspondent then.
          request.stage.is === 'awaiting-approval' && request.stage.ask.decision === null
            ? askAnew(request, context)
            : 'nothing',
        context,
      );
    }
    after = page.next;
    more = after !== null;
  }
  await settleAgreement(store, agreementId, now);
}
