import type { Instant } from '../../domain/calendar/instant.ts';
import { isBefore } from '../../domain/calendar/instant.ts';
import type { Drive } from '../../domain/exceptions/request.ts';
import { driveDueAt } from '../../domain/exceptions/schedule.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { drive, readForWaking } from '../../store/exceptions.ts';
import type { Engine } from '../../workflows/client.ts';
import { logger } from '../runtime/observability.ts';

/**
 * Passes on to the workflow what a request owes it: starts it, wakes it, or starts a new execution where one was lost
 * (APR-6). May run any number of times, also at once: Step Functions starts no name twice and takes no token twice, and
 * whoever is woken for nothing finds the request as it was.
 */
export async function passOn(store: Store, engine: Engine, exceptionId: string, now: Instant): Promise<void> {
  const found = await readForWaking(store, exceptionId);
  if (found === undefined) return;
  const { request, taskToken } = found;
  const seen = request.drive;
  const driven = { exceptionId, attempt: seen.attempt };
  switch (seen.is) {
    case 'to-start': {
      const started = await engine.start(driven);
      if (started === 'ended-already') await startAnew(store, engine, { exceptionId, seen }, now);
      return;
    }
    case 'to-wake': {
      const woken = taskToken === null ? 'gone' : await engine.wake(taskToken);
      // A token that is used may have been used a moment ago, by a run that is on its way to see the request.
      if (woken === 'gone' && !(await engine.isRunning(driven)))
        await startAnew(store, engine, { exceptionId, seen }, now);
      return;
    }
    case 'awake':
    case 'parked': {
      const dueAt = driveDueAt(request);
      if (dueAt === null || isBefore(now, dueAt)) return;
      if (await engine.isRunning(driven)) await drive(store, exceptionId, { seen, next: seen }, now);
      else await startAnew(store, engine, { exceptionId, seen }, now);
      return;
    }
    case 'ended':
      return;
  }
}

async function startAnew(
  store: Store,
  engine: Engine,
  { exceptionId, seen }: { readonly exceptionId: string; readonly seen: Drive },
  now: Instant,
): Promise<void> {
  const next = { is: 'to-start', attempt: seen.attempt + 1 } as const;
  const request = await drive(store, exceptionId, { seen, next }, now);
  if (request?.drive.is !== 'to-start' || request.drive.attempt !== next.attempt) return;
  logger.warn('workflow started anew', { exceptionId, attempt: next.attempt });
  await engine.start({ exceptionId, attempt: next.attempt });
}

/** Signals after a decision was written. A signal that fails is not the caller's concern: the sweep passes it on. */
export async function signal(store: Store, engine: Engine, exceptionId: string, now: Instant): Promise<void> {
  try {
    await passOn(store, engine, exceptionId, now);
  } catch (error) {
    logger.error('left to the sweep', { exceptionId, error: error as Error });
  }
}
