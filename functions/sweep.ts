import { MetricUnit } from '@aws-lambda-powertools/metrics';
import middy from '@middy/core';
import type { Instant } from '../domain/instant.ts';
import { exceptionsDue, nextExceptionAction, tickException } from '../store/exceptions.ts';
import type { Store } from '../store/table.ts';
import { deliverLetters } from './deliver-letters.ts';
import { logger, metrics } from './observe.ts';
import { passOn } from './pass-on.ts';
import { theEngine } from './the-engine.ts';
import { theMail } from './the-mail.ts';
import { theStore } from './the-store.ts';
import { world } from './world.ts';

/** What a run saw to, and when time has something to do next, if with anything. */
export type Swept = { readonly seen: number; readonly nextActionAt: Instant | null };

const pageSize = 100;
/** What one run may see to. More than this due at once is a flood; the next run, a minute later, goes on. */
const mostInOneRun = 1_000;

/**
 * Does what time brings: reminders and lapses (SLA-5, SLA-6), letters and signals that are still owed (APR-6), workflows
 * that were lost. A request that fails is logged and keeps none of the others waiting; the run then fails as a whole, so
 * that somebody hears of it.
 */
export const handler = middy<unknown, Swept>().handler(async () => {
  const store = theStore();
  const now = world.now();
  let after: string | null = null;
  let seen = 0;
  let failed = 0;
  do {
    const page = await exceptionsDue(store, now, { limit: pageSize, after });
    for (const exceptionId of page.items) {
      seen += 1;
      try {
        await seeTo(store, exceptionId, now);
      } catch (error) {
        failed += 1;
        logger.error('sweep could not see to a request', { exceptionId, error: error as Error });
      }
    }
    after = page.next;
  } while (after !== null && seen < mostInOneRun);
  metrics.addMetric('swept', MetricUnit.Count, seen);
  metrics.addMetric('faults', MetricUnit.Count, failed);
  metrics.publishStoredMetrics();
  if (failed > 0) throw new Error(`The sweep could not see to ${failed} of ${seen} requests; the log names each.`);
  return { seen, nextActionAt: await nextExceptionAction(store) };
});

async function seeTo(store: Store, exceptionId: string, now: Instant): Promise<void> {
  // A late sweep may have several things to do for one request: each is one change of its own.
  let ticked = true;
  while (ticked) ticked = (await tickException(store, exceptionId, now))?.ticked ?? false;
  await deliverLetters(store, theMail(), exceptionId, now);
  await passOn(store, theEngine(), exceptionId, now);
}
