import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { ItemKey, Store, TransactItem } from './dynamodb/table.ts';
import { Contention, commit, inParallel, isPassing, maximumAttempts } from './dynamodb/table.ts';
import type { Activation, Bucket, Layout, MakOutcome } from './mak-activations.ts';
import {
  bucketCountGrown,
  bucketKey,
  bucketNames,
  bucketsAt,
  homeOf,
  judge,
  layOut,
  liveAndLaidOut,
  markNameOf,
  markOf,
  numberOf,
  numbersFrom,
  readReserve,
  rememberSpent,
  reserveKey,
} from './mak-activations.ts';

/** One line of a batch: an installation, and the vault's digest of it on this key. */
export type Line = { readonly digest: Buffer; readonly activation: Activation };

/** Lines with one home bucket that have no answer yet, in the order of the batch. */
type Group = { readonly home: number; readonly bucket: Bucket; readonly lines: readonly number[] };

/** All lines of a batch, and the answers that are known so far, by the places of their lines. */
type Batch = { readonly lines: readonly Line[]; readonly outcomes: Map<number, MakOutcome> };

/**
 * Activates a batch on a MAK (MAK-6): one answer for each line, in order. While every home bucket has room for its lines,
 * each is one conditional write. Otherwise places are moved, in one transaction that writes every bucket it touches once;
 * when there are too few for all, the first lines get them and the rest are refused.
 * Answers `laid-out-anew` as a whole when the caller must read the key again.
 */
export async function activateBatchOnMak(
  store: Store,
  layout: Layout,
  lines: readonly Line[],
): Promise<readonly MakOutcome[] | 'laid-out-anew'> {
  const outcomes = new Map<number, MakOutcome>();
  const batch: Batch = { lines, outcomes };
  const firstOf = new Map(
    lines.map(({ activation }, index) => [activation.installationId, index] as const).toReversed(),
  );
  const open = () =>
    [...firstOf.values()].filter((index) => !outcomes.has(index)).toSorted((one, other) => one - other);

  for (let attempt = 1; open().length > 0; attempt += 1) {
    if (attempt > maximumAttempts) throw new Contention(`Others kept changing the buckets of key ${layout.keyId}.`);
    if (attempt > 1) await store.pause(attempt);
    const groups = await judged(store, layout, batch, open());
    if (groups === 'laid-out-anew') return groups;
    const isRoomy = groups.every(({ bucket, lines: wanted }) => bucket.free >= wanted.length);
    if (isRoomy) await inParallel(groups, (group) => markAll(store, layout, batch, group));
    else if ((await placeInOrder(store, layout, batch, groups)) === 'laid-out-anew') return 'laid-out-anew';
  }
  return lines.map(({ activation }, index) => {
    const first = firstOf.get(activation.installationId) ?? index;
    const outcome = outcomes.get(first);
    if (outcome === undefined) throw new Error('A line of a batch was left without an answer.');
    // The same installation further down the batch is known by then.
    return index !== first && outcome.is === 'activated' ? { ...outcome, is: 'known' } : outcome;
  });
}

/** Reads the home buckets and answers what they answer at once; the rest comes back in groups. */
async function judged(
  store: Store,
  layout: Layout,
  { lines, outcomes }: Batch,
  open: readonly number[],
): Promise<readonly Group[] | 'laid-out-anew'> {
  const byHome = Map.groupBy(open, (index) => homeOf(digestAt(lines, index), layout.bucketCount));
  const found = await bucketsAt(store, layout.keyId, [...byHome.keys()]);
  const buckets = new Map(found.map((bucket) => [numberOf(bucket), bucket]));
  const groups: Group[] = [];
  for (const [home, indices] of byHome) {
    const bucket = buckets.get(home);
    const waiting: number[] = [];
    let mustLayOut = false;
    for (const index of indices) {
      const answer = judge(bucket ?? 'no-bucket', layout, activationAt(lines, index).installationId);
      if (answer === 'laid-out-for-fewer') mustLayOut = true;
      else if (answer === 'full') waiting.push(index);
      else if (answer.is === 'laid-out-anew') return 'laid-out-anew';
      else outcomes.set(index, answer);
    }
    if (mustLayOut) {
      const laidOut = await layOut(store, layout, home);
      if (typeof laidOut !== 'string') for (const index of indices) outcomes.set(index, laidOut);
    } else if (bucket !== undefined && waiting.length > 0) groups.push({ home, bucket, lines: waiting });
  }
  return groups;
}

/** Marks all lines of a group in their home bucket; when something was different by then, they stay open. */
async function markAll(
  store: Store,
  { keyId, bucketCount }: Layout,
  { lines, outcomes }: Batch,
  { home, lines: indices }: Group,
): Promise<void> {
  const marks = marksOf(lines, indices);
  try {
    await store.client.send(
      new UpdateCommand({
        TableName: store.tableName,
        Key: bucketKey(keyId, home),
        UpdateExpression: `SET #used = #used + :count, #free = #free - :count, ${marks.set}`,
        ConditionExpression: `#free >= :count AND ${marks.absent} AND ${liveAndLaidOut}`,
        ExpressionAttributeNames: { ...bucketNames, ...marks.names },
        ExpressionAttributeValues: {
          ...marks.values,
          ':count': indices.length,
          ':live': 'live',
          ':bucketCount': bucketCount,
        },
      }),
    );
    activated(lines, indices, outcomes);
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException) && !isPassing(error)) throw error;
  }
}

/** A transaction takes so many items; what does not fit is placed in the next round. */
const mostItems = 100;

/** What a transaction does to one bucket, or to the reserve: marks lines in it and takes free places out of it. */
type Touch = {
  readonly key: ItemKey;
  readonly home: number | null;
  left: number;
  taken: number;
  readonly marked: number[];
};

/**
 * Finds places for lines in their order, wherever there are some: in the home bucket first, else in the reserve or in
 * another bucket, the fullest of places first, so that few are touched.
 */
async function placeInOrder(
  store: Store,
  layout: Layout,
  { lines, outcomes }: Batch,
  groups: readonly Group[],
): Promise<'tried' | 'laid-out-anew'> {
  const { keyId, bucketCount } = layout;
  const reserve = await readReserve(store, keyId);
  // Whoever still knew the old layout would pile a raised limit up in the few buckets there were.
  if (bucketCountGrown(bucketCount, reserve.limit) > bucketCount) return 'laid-out-anew';
  const all = await bucketsAt(store, keyId, numbersFrom(0, bucketCount));
  const used = all.reduce((sum, bucket) => sum + bucket.used, 0);
  const touch = (key: ItemKey, home: number | null, left: number): Touch => ({ key, home, left, taken: 0, marked: [] });
  const buckets = new Map(
    all.map((bucket) => [numberOf(bucket), touch({ PK: bucket.PK, SK: bucket.SK }, numberOf(bucket), bucket.free)]),
  );
  const donors = [touch(reserveKey(keyId), null, reserve.free), ...buckets.values()].toSorted(
    (one, other) => other.left - one.left,
  );
  const wanting = groups
    .flatMap(({ home, lines: indices }) => indices.map((index) => ({ home, index })))
    .toSorted((one, other) => one.index - other.index);
  const places = donors.reduce((sum, { left }) => sum + left, 0);
  const winners = wanting.slice(0, places);
  const elsewhere: typeof winners = [];
  for (const winner of winners) {
    const home = buckets.get(winner.home);
    if (home !== undefined && home.left > 0) place(home, home, winner.index);
    else elsewhere.push(winner);
  }
  for (const { home, index } of elsewhere) {
    const touched = donors.filter(({ taken, marked }) => taken > 0 || marked.length > 0).length;
    const donor = donors.find(({ left }) => left > 0);
    const bucket = buckets.get(home);
    // What does not fit into one transaction is placed in the next round.
    if (donor === undefined || bucket === undefined || touched > mostItems - 2) break;
    place(bucket, donor, index);
  }
  const touches = donors.filter(({ taken, marked }) => taken > 0 || marked.length > 0);
  if (touches.length > 0) {
    if (
      (await commit(
        store,
        touches.map((each) => writeOf(layout, lines, each)),
      )) !== 'done'
    )
      return 'tried';
    for (const { marked } of touches) activated(lines, marked, outcomes);
    return 'tried';
  }
  // Places on the move between two readings could be missed, but used places that add up to the limit cannot lie.
  const isLaidOut = all.length === bucketCount && all.every((bucket) => bucket.bucketCount === bucketCount);
  if (isLaidOut && used === reserve.limit) {
    await rememberSpent(store, keyId, reserve.limit);
    const found = new Map(all.map((bucket) => [numberOf(bucket), bucket]));
    for (const { home, index } of wanting) {
      // The last place can have gone to this very machine, which came twice at once (MAK-2).
      const answer = judge(found.get(home) ?? 'no-bucket', layout, activationAt(lines, index).installationId);
      outcomes.set(index, typeof answer === 'string' ? { is: 'spent', used } : answer);
    }
  } else if (!isLaidOut) {
    for (const number of numbersFrom(0, bucketCount)) await layOut(store, layout, number);
  }
  return 'tried';
}

function place(bucket: Touch, donor: Touch, index: number): void {
  bucket.marked.push(index);
  donor.left -= 1;
  donor.taken += 1;
}

function writeOf({ bucketCount }: Layout, lines: readonly Line[], { key, home, taken, marked }: Touch): TransactItem {
  const takes = { '#free': 'free' };
  if (home === null || marked.length === 0) {
    return {
      Update: {
        TableName: '',
        Key: key,
        UpdateExpression: 'SET #free = #free - :taken',
        ConditionExpression: '#free >= :taken',
        ExpressionAttributeNames: takes,
        ExpressionAttributeValues: { ':taken': taken },
      },
    };
  }
  const marks = marksOf(lines, marked);
  return {
    Update: {
      TableName: '',
      Key: key,
      UpdateExpression: `SET #used = #used + :count, #free = #free - :taken, ${marks.set}`,
      ConditionExpression: `#free >= :taken AND ${marks.absent} AND ${liveAndLaidOut}`,
      ExpressionAttributeNames: { ...bucketNames, ...marks.names },
      ExpressionAttributeValues: {
        ...marks.values,
        ':count': marked.length,
        ':taken': taken,
        ':live': 'live',
        ':bucketCount': bucketCount,
      },
    },
  };
}

/** The parts of an update that set some lines' marks where none of them is yet. */
function marksOf(lines: readonly Line[], indices: readonly number[]) {
  const named = indices.map((index) => ({
    name: `#mark${index}`,
    value: `:mark${index}`,
    activation: activationAt(lines, index),
  }));
  return {
    set: named.map(({ name, value }) => `${name} = ${value}`).join(', '),
    absent: named.map(({ name }) => `attribute_not_exists(${name})`).join(' AND '),
    names: Object.fromEntries(named.map(({ name, activation }) => [name, markNameOf(activation.installationId)])),
    values: Object.fromEntries(named.map(({ value, activation }) => [value, markOf(activation)])),
  };
}

function activated(lines: readonly Line[], indices: readonly number[], outcomes: Map<number, MakOutcome>): void {
  for (const index of indices) outcomes.set(index, { is: 'activated', activation: activationAt(lines, index) });
}

function activationAt(lines: readonly Line[], index: number): Activation {
  return lineAt(lines, index).activation;
}

function digestAt(lines: readonly Line[], index: number): Buffer {
  return lineAt(lines, index).digest;
}

function lineAt(lines: readonly Line[], index: number): Line {
  const line = lines[index];
  if (line === undefined) throw new Error(`A batch of ${lines.length} has no line ${index}.`);
  return line;
}
