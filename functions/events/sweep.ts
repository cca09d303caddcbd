import type { Instant } from '../../domain/calendar/instant.ts';
import type { DueKind } from '../../store/dynamodb/due-items.ts';
import { dueBy, nextDueAt } from '../../store/dynamodb/due-items.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { tickException } from '../../store/exceptions.ts';
import { finishReplacement } from '../../store/key-replacement.ts';
import { world } from '../runtime/clock.ts';
import { theMail } from '../runtime/mailer.ts';
import { countHere, logger } from '../runtime/observability.ts';
import { theStore } from '../runtime/store.ts';
import { theEngine } from '../runtime/workflow-client.ts';
import { settleCorrespondent } from '../use-cases/complete-correspondent-change.ts';
import { deliverNotices } from '../use-cases/send-agreement-notifications.ts';
import { deliverLetters } from '../use-cases/send-request-notifications.ts';
import { passOn } from '../use-cases/signal-workflow.ts';

/** What a run saw to, and when time has something to do next, if with anything. */
export type Swept = { readonly seen: number; readonly nextActionAt: Instant | null };

const pageSize = 100;
/** What one run may see to of each sort. More than this due at once is a flood; the next run, a minute later, goes on. */
const mostInOneRun = 1_000;

/** What the sweep does for each sort of thing that time has something to do with; what one leaves owed, a later one does. */
const tasks: readonly (readonly [DueKind, (store: Store, id: string, now: Instant) => Promise<unknown>])[] = [
  ['AGREEMENT', settleCorrespondent],
  ['KEY', finishReplacement],
  ['EXCEPTION', seeToRequest],
];

/**
 * Does what time brings: new Correspondents take over (AGR-4), replacements that were left are completed (BLK-2),
 * reminders and lapses (SLA-5, SLA-6), letters and signals that are still owed (APR-6), workflows that were lost, and last
 * the notices that all of it left owed. One thing that fails is logged and keeps none of the others waiting; the run then
 * fails as a whole, so that somebody hears of it.
 */
export const handler = async (_event: unknown, _context: unknown): Promise<Swept> => {
  const store = theStore();
  let seen = 0;
  const failed: string[] = [];
  for (const [kind, seeTo] of tasks) {
    for await (const id of idsDue(store, kind, world.now())) {
      seen += 1;
      try {
        // Each is an event of its own: what is claimed late in a long run must not be free again already.
        await seeTo(store, id, world.now());
      } catch (error) {
        failed.push(`${kind} ${id}`);
        logger.error('sweep could not see to it', { kind, id, error: error as Error });
      }
    }
  }
  const notices = await deliverNotices(store, theMail(), () => world.now());
  seen += notices.sent + notices.failed.length;
  failed.push(...notices.failed.map((id) => `NOTIFICATION ${id}`));
  countHere({ swept: seen, faults: failed.length });
  if (failed.length > 0)
    throw new Error(`The sweep could not see to ${failed.length} of ${seen}: ${failed.slice(0, 5).join(', ')}.`);
  return { seen, nextActionAt: await nextDueAt(store) };
};

async function* idsDue(store: Store, kind: DueKind, now: Instant): AsyncGenerator<string> {
  let after: string | null = null;
  let given = 0;
  do {
    const page = await dueBy(store, kind, now, { limit: pageSize, after });
    yield* page.items;
    given += page.items.length;
    after = page.next;
  } while (after !== null && given < mostInOneRun);
}

async function seeToRequest(store: Store, exceptionId: string, now: Instant): Promise<void> {
  // A late sweep may have several things to do for one request: each is one change of its own.
  let ticked = true;
  while (ticked) ticked = (await tickException(store, exceptionId, now))?.ticked ?? false;
  await deliverLetters(store, theMail(), exceptionId, now);
  await passOn(store, theEngine(), exceptionId, now);
}
