import middy from '@middy/core';
import type { Instant } from '../../domain/calendar/instant.ts';
import { listDueItems, nextDueAt } from '../../store/dynamodb/due-items.ts';
import type { DueKind } from '../../store/dynamodb/schema.ts';
import { applyDueExceptionAction } from '../../store/exceptions.ts';
import { finishReplacement } from '../../store/key-replacement.ts';
import type { Store } from '../../store/store.ts';
import { clock } from '../runtime/clock.ts';
import { logContext, logOutcome } from '../runtime/log-middleware.ts';
import { getMailer } from '../runtime/mailer.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { completeCorrespondentChange } from '../use-cases/complete-correspondent-change.ts';
import { sendAgreementNotifications } from '../use-cases/send-agreement-notifications.ts';
import { sendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { deliverSignal } from '../use-cases/signal-workflow.ts';

/** The number of items that a run processed, and when the next one is due; null if none is. */
export type SweepResult = { readonly processed: number; readonly nextActionAt: Instant | null };

const pageSize = 100;
/** The most items of each kind in one run. More than this due at once is a flood; the next run, a minute later, continues. */
const itemsPerRunMax = 1_000;

/** The task for each kind of due item. A later task also processes what an earlier one leaves pending. */
const tasks: readonly (readonly [DueKind, (store: Store, id: string, now: Instant) => Promise<unknown>])[] = [
  ['AGREEMENT', completeCorrespondentChange],
  ['KEY', finishReplacement],
  ['EXCEPTION', processDueRequest],
];

/**
 * Processes all due items: changes of the Correspondent (AGR-4), unfinished replacements (BLK-2), reminders and lapses
 * (SLA-5, SLA-6), pending notifications and signals (APR-6), lost executions, and last the notifications that all of this
 * added. A failed item is logged and does not keep the others from being processed. The run then throws, so that the
 * failure raises an alarm.
 *
 * The only deadline is that of Lambda. Each item is an event of its own, so the next run finds whatever a run that was cut
 * short has left.
 */
export const handler = middy<unknown, SweepResult>({ timeoutEarlyInMillis: 0 })
  .use(logContext())
  .use(logOutcome({ failed: 'sweep failed' }))
  .handler(async () => {
    const store = getStore();
    let processed = 0;
    const failures: string[] = [];
    for (const [kind, processItem] of tasks) {
      for await (const id of listDueIds(store, kind, clock.now())) {
        processed += 1;
        try {
          // The time is read for each item: a claim made late in a long run must not have expired already.
          await processItem(store, id, clock.now());
        } catch (error) {
          failures.push(`${kind} ${id}`);
          logger.error('sweep item failed', { kind, id, error: error as Error });
        }
      }
    }
    const { sent, failed } = await sendAgreementNotifications(store, getMailer(), () => clock.now());
    processed += sent + failed.length;
    failures.push(...failed.map((id) => `NOTIFICATION ${id}`));
    countFunctionMetric({ itemsProcessed: processed, faults: failures.length });
    if (failures.length > 0) {
      const examples = failures.slice(0, 5).join(', ');
      throw new Error(`The sweep failed for ${failures.length} of ${processed} items: ${examples}.`);
    }
    return { processed, nextActionAt: await nextDueAt(store) };
  });

async function* listDueIds(store: Store, kind: DueKind, now: Instant): AsyncGenerator<string> {
  let after: string | null = null;
  let listedCount = 0;
  do {
    const page = await listDueItems(store, kind, now, { limit: pageSize, after });
    yield* page.items;
    listedCount += page.items.length;
    after = page.next;
  } while (after !== null && listedCount < itemsPerRunMax);
}

async function settle(task: Promise<void>): Promise<PromiseSettledResult<void>> {
  const [result] = await Promise.allSettled([task]);
  return result;
}

async function processDueRequest(store: Store, exceptionId: string, now: Instant): Promise<void> {
  // Several actions can be due for one request; each is a change of its own.
  let hasMore = true;
  while (hasMore) hasMore = (await applyDueExceptionAction(store, exceptionId, now))?.wasDue ?? false;
  // A request goes on whether or not its emails can be sent (EXC-9), and they are sent whether or not it goes on.
  const signal = await settle(deliverSignal(store, getWorkflowClient(), exceptionId, now));
  const delivery = await settle(sendRequestNotifications(store, getMailer(), exceptionId, now));
  for (const result of [signal, delivery]) if (result.status === 'rejected') throw result.reason;
}
