import { randomInt } from 'node:crypto';
import { addDuration, civilDate } from '../domain/calendar/instant.ts';
import { receiveRequest } from '../domain/exceptions/intake.ts';
import { rejectRequest } from '../domain/exceptions/review.ts';
import type { Mak } from '../domain/keys/key.ts';
import { listDueItems } from '../store/dynamodb/due-items.ts';
import type { Item, ItemKey, TransactItem } from '../store/dynamodb/table.ts';
import { commit, putAll } from '../store/dynamodb/table.ts';
import { ledgerEntrySortKey, ledgerPartition, newItem } from '../store/dynamodb/versioned-item.ts';
import {
  createException,
  exceptionKey,
  listExceptions,
  openRequestPointer,
  requestWrites,
  transitionException,
} from '../store/exceptions.ts';
import { keyCreationWrites, listKeys, readKey } from '../store/keys.ts';
import { activateOnMak } from '../store/mak-activations.ts';
import type { BucketLayout } from '../store/mak-bucket.ts';
import {
  attributeNameOf,
  bucketCountFor,
  bucketKey,
  encodeActivation,
  homeBucketOf,
  newBucketItems,
  newReserveItem,
} from '../store/mak-bucket.ts';
import { countUsedOnMak } from '../store/mak-usage.ts';
import type { Store } from '../store/store.ts';
import { meterCapacity } from './capacity-meter.ts';
import { anAgreement, drawKey, fixedNow, issueMakWithLimit, median, newStore, randomActivation } from './fixture.ts';
import { startLoggedDynamoDb } from './logged-dynamodb.ts';
import type { Measurement, RunOptions } from './report.ts';

/* Measures how the cost and the time of frequent operations grow with the number of surrounding items. */

/** One call of an operation, and a call that undoes it, so that the number of items stays the same. */
type Trial = { act(): Promise<unknown>; undo?(): Promise<unknown> };
type Operation = { readonly label: string; readonly isExpectedToRise?: true; prepare(): Trial };
type GrowthFixture = { readonly store: Store; readonly operations: readonly Operation[] };

type GrowthSeries = {
  readonly subject: string;
  readonly sizes: readonly number[];
  build(size: number): Promise<GrowthFixture>;
};

/** Smaller than the smallest size, so that a page has the same length at every size. */
const pageSize = 9;
const fillRatio = 0.8;

/** Builds a MAK that is 80 % full with the given number of activations, each of them in its home bucket. */
async function buildActivations(size: number): Promise<GrowthFixture> {
  const store = await newStore();
  const keyId = store.vault.keyIdOf(drawKey());
  const limit = Math.ceil(size / fillRatio);
  const layout = { keyId, bucketCount: bucketCountFor(limit) };
  const buckets = new Map(newBucketItems(keyId, limit).map((item) => [item.PK, item]));
  for (let placed = 0; placed < size; placed += 1) {
    const { activation, bucket } = newInstallation(store, layout, buckets);
    bucket.used = Number(bucket.used) + 1;
    bucket.available = Number(bucket.available) - 1;
    bucket[attributeNameOf(activation.installationId)] = encodeActivation(activation);
  }
  await putAll(store, [...buckets.values(), newReserveItem(keyId, limit)]);
  return {
    store,
    operations: [
      activationOperation(store, () => layout, buckets),
      // It reads all buckets, so that its cost rises with the size of the key.
      {
        label: 'reading its usage',
        isExpectedToRise: true,
        prepare: () => ({ act: () => countUsedOnMak(store, layout) }),
      },
    ],
  };
}

/** Returns a new activation whose home bucket has an available slot. */
function newInstallation(store: Store, layout: BucketLayout, buckets: ReadonlyMap<string, Item>) {
  for (;;) {
    const activation = randomActivation();
    const digest = store.vault.digestOf(layout.keyId, activation.installationId);
    const bucket = buckets.get(bucketKey(layout.keyId, homeBucketOf(digest, layout.bucketCount)).PK);
    if (bucket !== undefined && Number(bucket.available) > 0) return { activation, digest, bucket };
  }
}

function activationOperation(
  store: Store,
  anyLayout: () => BucketLayout,
  buckets: ReadonlyMap<string, Item>,
): Operation {
  return {
    label: 'one activation',
    prepare() {
      const layout = anyLayout();
      const { activation, digest, bucket } = newInstallation(store, layout, buckets);
      return {
        async act() {
          const { kind } = await activateOnMak(store, layout, digest, activation);
          if (kind !== 'activated') throw new Error(`An activation returned ${kind}.`);
        },
        undo: () => putAll(store, [bucket]),
      };
    },
  };
}

/** Builds the keys of one agreement, with their buckets and pointers. */
async function buildKeys(size: number): Promise<GrowthFixture> {
  const store = await newStore();
  const limit = 50;
  const agreement = anAgreement('GROWTH', 1);
  const layouts: BucketLayout[] = [];
  const items: Item[] = [];
  for (let count = 0; count < size; count += 1) {
    const productKey = drawKey();
    const mak: Mak = {
      type: 'MAK',
      keyId: store.vault.keyIdOf(productKey),
      agreementId: agreement.agreementId,
      productGroup: 'client',
      lastFive: productKey.lastFive,
      state: { status: 'live' },
      grants: [{ kind: 'initial', amount: limit, at: fixedNow, by: 'bench', reference: 'GROWTH', approvedBy: null }],
      issuedAt: fixedNow,
      replaces: null,
    };
    layouts.push({ keyId: mak.keyId, bucketCount: bucketCountFor(limit) });
    items.push(
      ...putItemsIn(
        keyCreationWrites(
          store,
          { key: mak, productKey, agreement },
          { actor: 'bench', operationId: `${count}`, now: fixedNow },
        ),
      ),
    );
    items.push(...newBucketItems(mak.keyId, limit), newReserveItem(mak.keyId, limit));
  }
  await putAll(store, items);
  const buckets = new Map(items.map((item) => [item.PK, item]));
  const anyLayout = () => pickOne(layouts);
  return {
    store,
    operations: [
      activationOperation(store, anyLayout, buckets),
      { label: 'reading one key', prepare: () => ({ act: () => readKey(store, anyLayout().keyId) }) },
      {
        label: 'a page of an agreement’s keys',
        prepare: () => ({
          act: () => expectFullPage(listKeys(store, agreement.agreementId, { limit: pageSize, after: null })),
        }),
      },
    ],
  };
}

/** Builds open requests, all of which are due. */
async function buildRequests(size: number): Promise<GrowthFixture> {
  const store = await newStore();
  const agreement = anAgreement('GROWTH', 1);
  const { keyId } = await issueMakWithLimit(store, agreement.agreementId, 50);
  const key = (await readKey(store, keyId))?.value;
  const [requester] = agreement.contacts;
  if (key === undefined || requester === undefined) throw new Error('The agreement has no key or no contact.');
  const form = {
    ...agreement.numbers,
    kind: 'MAKADD',
    organizationName: agreement.organization.name,
    requester,
    product: 'windows-vista-enterprise',
    keyLastFive: key.lastFive,
    activationsRequested: 1_000,
    businessReason: 'Two new schools open in autumn.',
    requiredDate: civilDate('2099-01-04'),
    language: 'en',
    noticesCorrespondent: null,
  } as const;
  const context = { agreement, keys: [key], openExceptionId: () => undefined };
  const submitted = receiveRequest(form, context, 'first', {
    actor: requester.email,
    now: fixedNow,
    policy: store.policy,
  });
  if (!submitted.ok) throw new Error(submitted.refusal.detail);
  const items = Array.from({ length: size }, (_, count): readonly Item[] => {
    const exceptionId = `request-${String(count).padStart(8, '0')}`;
    const request = { ...submitted.request, exceptionId, keyId: `key-${exceptionId}` };
    const record = newItem(exceptionKey(exceptionId), request);
    return [
      ...putItemsIn(
        requestWrites(store, record, request, { operationId: 'receive', now: fixedNow, event: submitted.event }),
      ),
      { ...openRequestPointer(request.keyId), exceptionId },
    ];
  });
  await putAll(store, items.flat());
  const sender = { maySpeakFor: () => true };
  const soon = addDuration(fixedNow, { minutes: 5 });
  let submittedCount = 0;
  return {
    store,
    operations: [
      {
        label: 'submitting one',
        prepare() {
          submittedCount += 1;
          const exceptionId = `submitted-${String(submittedCount).padStart(8, '0')}`;
          return {
            act: () =>
              expectAccepted(
                createException(store, { exceptionId, form }, sender, {
                  actor: requester.email,
                  operationId: 'receive',
                  now: fixedNow,
                  policy: store.policy,
                }),
              ),
            undo: () =>
              remove(store, [exceptionKey(exceptionId), ledgerEntryKeyOf(exceptionId, 1), openRequestPointer(keyId)]),
          };
        },
      },
      {
        label: 'rejecting one',
        prepare() {
          const before = pickOne(items);
          const exceptionId = before[0]?.PK.slice('EXCEPTION#'.length) ?? '';
          return {
            act: () =>
              expectAccepted(
                transitionException(
                  store,
                  exceptionId,
                  (request) =>
                    rejectRequest(request, 'It is not needed.', {
                      actor: 'tomas.novak@vendor.example',
                      now: fixedNow,
                      policy: store.policy,
                    }),
                  { operationId: 'reject', now: fixedNow },
                ),
              ),
            async undo() {
              await putAll(store, before);
              await remove(store, [ledgerEntryKeyOf(exceptionId, 2)]);
            },
          };
        },
      },
      {
        label: 'listing due requests',
        prepare: () => ({
          act: () => expectFullPage(listDueItems(store, 'EXCEPTION', soon, { limit: pageSize, after: null })),
        }),
      },
      {
        label: 'a page of open requests',
        prepare: () => ({
          act: () =>
            expectFullPage(
              listExceptions(store, { status: 'open', agreementIds: null }, { limit: pageSize, after: null }),
            ),
        }),
      },
    ],
  };
}

async function expectAccepted(result: Promise<{ readonly ok: boolean } | undefined>): Promise<void> {
  if (!(await result)?.ok) throw new Error('A request was refused.');
}

async function expectFullPage(reading: Promise<{ readonly items: readonly unknown[] }>): Promise<void> {
  const { items } = await reading;
  if (items.length !== pageSize) throw new Error(`A page has ${items.length} items instead of ${pageSize}.`);
}

function ledgerEntryKeyOf(exceptionId: string, sequence: number): ItemKey {
  return { PK: ledgerPartition(exceptionKey(exceptionId).PK), SK: ledgerEntrySortKey(sequence) };
}

function putItemsIn(writes: readonly TransactItem[]): Item[] {
  return writes.flatMap(({ Put }) => (Put === undefined ? [] : [Put.Item as Item]));
}

async function remove(store: Store, items: readonly ItemKey[]): Promise<void> {
  const result = await commit(
    store,
    items.map(({ PK, SK }) => ({ Delete: { Key: { PK, SK } } })),
  );
  if (result !== 'committed') throw new Error('The operation could not be undone.');
}

function pickOne<Each>(all: readonly Each[]): Each {
  const one = all[randomInt(all.length)];
  if (one === undefined) throw new Error('The list is empty.');
  return one;
}

export async function measure({ rounds, isLong }: RunOptions): Promise<readonly Measurement[]> {
  const upTo = (sizeMax: number) => [10, 100, 1_000, 10_000, 100_000].filter((size) => size <= sizeMax);
  const all: readonly GrowthSeries[] = [
    { subject: 'activations on a key', sizes: upTo(isLong ? 100_000 : 10_000), build: buildActivations },
    { subject: 'keys', sizes: upTo(isLong ? 10_000 : 1_000), build: buildKeys },
    { subject: 'open requests', sizes: upTo(isLong ? 10_000 : 1_000), build: buildRequests },
  ];
  const previousEndpoint = process.env.AWS_ENDPOINT_URL_DYNAMODB;
  const dynamoDb = await startLoggedDynamoDb();
  process.env.AWS_ENDPOINT_URL_DYNAMODB = dynamoDb.endpoint;
  try {
    const rows: Measurement[] = [];
    for (const series of all) rows.push(...(await measureSlopes(series, rounds)));
    const operations = await dynamoDb.operations();
    const requestCount = [...operations.values()].reduce((sum, count) => sum + count, 0);
    if (requestCount === 0) throw new Error('The request log is empty, so it proves nothing.');
    rows.push({
      label: 'scans in the emulator’s request log',
      value: operations.get('Scan') ?? 0,
      unit: 'scans',
      baseline: { label: 'requests', value: requestCount },
      target: { atMost: 0 },
      isDeterministic: true,
    });
    return rows;
  } finally {
    await dynamoDb.stop();
    process.env.AWS_ENDPOINT_URL_DYNAMODB = previousEndpoint;
  }
}

const trialsPerRound = 10;

/** Measures every operation at every size in turn, and returns the slopes of its cost and its time. */
async function measureSlopes({ subject, sizes, build }: GrowthSeries, rounds: number): Promise<readonly Measurement[]> {
  const all: (Operation & Samples)[] = [];
  for (const size of sizes) {
    const { store, operations } = await build(size);
    const meter = meterCapacity(store.client);
    all.push(...operations.map((each) => ({ ...each, size, meter, units: [], milliseconds: [] })));
  }
  for (let trial = -trialsPerRound; trial < rounds * trialsPerRound; trial += 1) {
    for (const { prepare, isExpectedToRise, meter, units, milliseconds } of all) {
      // Reading a large key is slow. Once in a round is enough to see how it grows.
      if (isExpectedToRise && trial % trialsPerRound !== 0) continue;
      const { act, undo } = prepare();
      meter.reset();
      const startedAt = performance.now();
      await act();
      const elapsed = performance.now() - startedAt;
      const { writeUnits, readUnits } = meter.usage;
      await undo?.();
      // The first round warms up the emulator and the compiler.
      if (trial < 0) continue;
      units.push(writeUnits + readUnits);
      milliseconds.push(elapsed);
    }
  }
  const largestSize = (sizes.at(-1) ?? 0).toLocaleString('en-US');
  return [...Map.groupBy(all, ({ label }) => label)].flatMap(([label, samples]): Measurement[] => {
    const isExpected = samples.some(({ isExpectedToRise }) => isExpectedToRise);
    const units = samples.map((each) => [each.size, mean(each.units)] as const);
    const milliseconds = samples.map((each) => [each.size, median(each.milliseconds)] as const);
    return [
      {
        label: `${subject}: ${label}, units`,
        value: slopeOf(units),
        unit: 'slope',
        baseline: { label: `at ${largestSize}`, value: units.at(-1)?.[1] ?? Number.NaN },
        isDeterministic: true,
        ...(isExpected ? {} : { target: { atMost: 0.02 } }),
      },
      {
        label: `${subject}: ${label}, time`,
        value: slopeOf(milliseconds),
        unit: 'slope',
        baseline: { label: `ms at ${largestSize}`, value: milliseconds.at(-1)?.[1] ?? Number.NaN },
        ...(isExpected ? {} : { target: { atMost: 0.1 } }),
      },
    ];
  });
}

type Samples = {
  readonly size: number;
  readonly meter: ReturnType<typeof meterCapacity>;
  readonly units: number[];
  readonly milliseconds: number[];
};

/** Returns the power of the size with which the cost grows: the slope of a line fitted through the logarithms. */
export function slopeOf(points: readonly (readonly [size: number, cost: number])[]): number {
  const logarithms = points.map(([size, cost]) => [Math.log10(size), Math.log10(cost)] as const);
  const meanX = mean(logarithms.map(([x]) => x));
  const meanY = mean(logarithms.map(([, y]) => y));
  const rise = logarithms.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0);
  return rise / logarithms.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0);
}

function mean(numbers: readonly number[]): number {
  return numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
}
