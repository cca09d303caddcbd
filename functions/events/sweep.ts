import type { Instant } from '../../domain/calendar/instant.ts';
import type { DueKind } from '../../store/dynamodb/due-items.ts';
import { listDueItems, nextDueAt } from '../../store/dynamodb/due-items.ts';
import { applyDueExceptionAction } from '../../store/exceptions.ts';
import { finishReplacement } from '../../store/key-replacement.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { sendRequestNotifications } from '../use-cases/send-request-notifications.ts';
import { sendAgreementNotifications } from '../use-cases/send-agreement-notifications.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { deliverSignal } from '../use-cases/signal-workflow.ts';
import { completeCorrespondentChange } from '../use-cases/complete-correspondent-change.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { getMailer } from '../runtime/mailer.ts';
import { getStore } from '../runtime/store.ts';
import { runtime } from '../runtime/clock.ts';

/** What a run saw to, and when time has something to do next, if with anything. */
export type SweepResult = { readonly processed: number; readonly nextActionAt: Instant | null };

const pageSize = 100;
/** What one run may see to of each sort. More than this due at once is a flood; the next run, a minute later, goes on. */
const itemsPerRunMax = 1_000;

/** What the sweep does for each sort of thing that time has something to do with; what one leaves owed, a later one does. */
const tasks: readonly (readonly [DueKind, (store: Store, id: string, now: Instant) => Promise<unknown>])[] = [
  ['AGREEMENT', completeCorrespondentChange],
  ['KEY', finishReplacement],
  ['EXCEPTION', processDueRequest],
];

/**
 * Does what time brings: new Correspondents take over (AGR-4), replacements that were left are completed (BLK-2),
 * reminders and lapses (SLA-5, SLA-6), letters and signals that are still owed (APR-6), workflows that were lost, and last
 * the notices that all of it left owed. One thing that fails is logged and keeps none of the others waiting; the run then
 * fails as a whole, so that somebody hears of it.
 */
export const handler = async (_event: unknown, _context: unknown): Promise<SweepResult> => {
  const store = getStore();
  let processed = 0;
  const failures: string[] = [];
  for (const [kind, processItem] of tasks) {
    for await (const id of listDueIds(store, kind, runtime.now())) {
      processed += 1;
      try {
        // Each is an event of its own: what is claimed late in a long run must not be free again already.
        await processItem(store, id, runtime.now());
      } catch (error) {
        failures.push(`${kind} ${id}`);
        logger.error('sweep item failed', { kind, id, error: error as Error });
      }
    }
  }
  const sendResult = await sendAgreementNotifications(store, getMailer(), () => runtime.now());
  processed += sendResult.sent + sendResult.failed.length;
  failures.push(...sendResult.failed.map((id) => `NOTIFICATION ${id}`));
  countFunctionMetric({ itemsProcessed: processed, faults: failures.length });
  if (failures.length > 0)
    throw new Error(`The sweep failed for ${failures.length} of ${processed} items: ${failures.slice(0, 5).join(', ')}.`);
  return { processed, nextActionAt: await nextDueAt(store) };
};

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

async function processDueRequest(store: Store, exceptionId: string, now: Instant): Promise<void> {
  // A late sweep may have several things to do for one request: each is one change of its own.
  let hasMore = true;
  while (hasMore) hasMore = (await applyDueExceptionAction(store, exceptionId, now))?.ticked ?? false;
  await sendRequestNotifications(store, getMailer(), exceptionId, now);
  await deliverSignal(store, getWorkflowClient(), exceptionId, now);
}
