import { MetricUnit } from '@aws-lambda-powertools/metrics';
import type { DynamoDBBatchResponse } from 'aws-lambda';
import { z } from 'zod';
import type { Told } from '../domain/alert.ts';
import { clientsAlert, nextUsageAlertAt, usageAlert } from '../domain/alert.ts';
import { limitOf } from '../domain/grant.ts';
import type { InstallationId } from '../domain/installation-id.ts';
import type { Instant } from '../domain/instant.ts';
import type { Key } from '../domain/key.ts';
import type { NoticeAbout } from '../domain/notice.ts';
import { noticesTo } from '../domain/notice.ts';
import type { Policy } from '../domain/policy.ts';
import { findAgreement } from '../store/agreements.ts';
import type { Alerts, Looked } from '../store/alerts.ts';
import { addSeen, tell } from '../store/alerts.ts';
import type { KeptKey } from '../store/keys.ts';
import { readKey, usedOn } from '../store/keys.ts';
import { dropFromReplaced } from '../store/replacement.ts';
import type { KeyChange } from '../store/stream.ts';
import { keyChangeIn } from '../store/stream.ts';
import type { Store } from '../store/table.ts';
import { inParallel } from '../store/table.ts';
import { deliverNotices } from './deliver-notices.ts';
import { keyForecast } from './key-forecast.ts';
import { logger, metrics } from './observe.ts';
import { theMail } from './the-mail.ts';
import { theStore } from './the-store.ts';
import { world } from './world.ts';

const image = z.record(z.string(), z.unknown());
const batchSchema = z.looseObject({
  Records: z.array(
    z.looseObject({
      dynamodb: z.looseObject({
        SequenceNumber: z.string().min(1),
        NewImage: image.optional(),
        OldImage: image.optional(),
      }),
    }),
  ),
});

/** What a batch says of one key, put together. */
type Watched = Omit<KeyChange, 'newcomers'> & {
  readonly newcomers: ReadonlySet<InstallationId>;
  /** Where the batch is to be taken up again when this cannot be seen to. */
  readonly from: string;
};

/**
 * Watches the use of keys through the stream of the table, off the way of those who activate. Once for each key and batch
 * it tells the contacts when so much of a limit is used (ALR-1) or a KMS key looks as if it were typed on clients (KMS-4),
 * and takes machines that have moved to a new key off the one that it replaced (BLK-3).
 *
 * The stream delivers at least once, late, and to several at once. Nothing here leans on a record but for which key to look
 * at: what is decided is decided from the key as it is then, and written only if nobody else was faster. A key that cannot
 * be seen to is reported by its first record, and keeps none of the others waiting.
 */
export const handler = async (event: unknown, _context: unknown): Promise<DynamoDBBatchResponse> => {
  const { Records } = batchSchema.parse(event);
  const store = theStore();
  const failed: string[] = [];
  const watched = new Map<string, Watched>();
  for (const { dynamodb } of Records) {
    try {
      const change = keyChangeIn({ before: dynamodb.OldImage, after: dynamodb.NewImage });
      if (change !== undefined)
        watched.set(change.keyId, together(watched.get(change.keyId), change, dynamodb.SequenceNumber));
    } catch (error) {
      failed.push(dynamodb.SequenceNumber);
      logger.error('a change of the table cannot be read', {
        sequence: dynamodb.SequenceNumber,
        error: error as Error,
      });
    }
  }
  let owed = 0;
  await inParallel([...watched.values()], async (each) => {
    try {
      owed += await watch(store, each, world.now());
    } catch (error) {
      failed.push(each.from);
      logger.error('could not watch a key', { keyId: each.keyId, error: error as Error });
    }
  });
  metrics.addMetric('warnings', MetricUnit.Count, owed);
  metrics.addMetric('faults', MetricUnit.Count, failed.length);
  metrics.publishStoredMetrics();
  if (owed > 0) await sendNow(store);
  return { batchItemFailures: failed.map((itemIdentifier) => ({ itemIdentifier })) };
};

function together(before: Watched | undefined, change: KeyChange, sequence: string): Watched {
  return {
    keyId: change.keyId,
    activated: (before?.activated ?? 0) + change.activated,
    newcomers: new Set([...(before?.newcomers ?? []), ...change.newcomers]),
    keyItself: (before?.keyItself ?? false) || change.keyItself,
    from: before?.from ?? sequence,
  };
}

/** Sees to one key. Answers how many notices are owed by it. */
async function watch(store: Store, { keyId, activated, newcomers, keyItself }: Watched, now: Instant): Promise<number> {
  const key = await readKey(store, keyId);
  if (key === undefined) throw new Error(`Key ${keyId} has gone; keys are never deleted.`);
  await dropFromReplaced(store, key.state, [...newcomers], now);
  if (key.state.status.is !== 'live') return 0;
  const alerts = activated === 0 ? undefined : await addSeen(store, keyId, activated);
  if (!keyItself && alerts !== undefined && cannotMatter(alerts)) return 0;
  return tell(store, keyId, now, (soFar) => look(store, keyId, soFar, now));
}

/** Whether a count could only say that there is nothing to tell: what was seen is never less than what is used. */
function cannotMatter({ version, seen, tellAt }: Alerts): boolean {
  return version > 0 && (tellAt === null || seen < tellAt);
}

/** Reads a key and decides what there is to tell of it now; null when it is not live any more. */
async function look(store: Store, keyId: string, { told: before }: Alerts, now: Instant): Promise<Looked | null> {
  const key = await readKey(store, keyId);
  if (key?.state.status.is !== 'live') return null;
  const { policy } = store;
  const limit = limitOf(key.state.grants);
  const used = await usedOn(store, key);
  const usage = usageAlert(used, limit, before, policy);
  const clients = clientsOf(key.state, usage.told, policy);
  const about: readonly NoticeAbout[] = [
    ...(usage.tell === null ? [] : [await limitUsed(store, key, usage.tell, used, now)]),
    ...clients.about,
  ];
  const agreement = about.length === 0 ? undefined : await findAgreement(store, key.state.agreementId);
  return {
    told: clients.told,
    tellAt: nextUsageAlertAt(limit, clients.told, policy),
    counted: key.state.type === 'MAK' ? used : null,
    noticesFor: (occasion) =>
      agreement === undefined
        ? []
        : about.flatMap((each) => noticesTo(agreement.contacts, `${occasion} ${each.is}`, agreement, each)),
  };
}

function clientsOf(
  key: Key,
  told: Told,
  policy: Policy,
): { readonly told: Told; readonly about: readonly NoticeAbout[] } {
  if (key.type === 'MAK') return { told, about: [] };
  const { hosts, told: next } = clientsAlert(key, told, policy);
  if (hosts === null) return { told: next, about: [] };
  const { withinHours } = policy.kms.newHostsWarning;
  return { told: next, about: [{ is: 'kms-key-on-clients', lastFive: key.lastFive, hosts, withinHours }] };
}

async function limitUsed(
  store: Store,
  key: KeptKey,
  percent: number,
  used: number,
  now: Instant,
): Promise<NoticeAbout> {
  const { type, lastFive, grants } = key.state;
  const limit = limitOf(grants);
  // Of a limit that is gone there is nothing left to forecast.
  const forecast = used < limit ? (await keyForecast(store, key, now)).inWords : null;
  return { is: 'limit-used', keyType: type, lastFive, percent, used, limit, forecast };
}

/** A notice that cannot be sent now is no failure of the batch: it is owed, and the sweep sends it. */
async function sendNow(store: Store): Promise<void> {
  try {
    await deliverNotices(store, theMail(), () => world.now());
  } catch (error) {
    logger.error('left to the sweep', { error: error as Error });
  }
}
