import { randomInt } from 'node:crypto';
import { civilDate, later } from '../domain/calendar/instant.ts';
import { receive, reject } from '../domain/exceptions/request.ts';
import type { Mak } from '../domain/keys/key.ts';
import { dueBy } from '../store/dynamodb/due-items.ts';
import type { Item, ItemKey, Store, TransactItem } from '../store/dynamodb/table.ts';
import { commit, putAll } from '../store/dynamodb/table.ts';
import { entryKey, ledgerPartition, unwritten } from '../store/dynamodb/versioned-item.ts';
import {
  exceptionItem,
  listExceptions,
  moveException,
  movingWrites,
  openKey,
  receiveException,
} from '../store/exceptions.ts';
import { issuingWrites, keysOf, readKey } from '../store/keys.ts';
import type { Layout } from '../store/mak-activations.ts';
import {
  activateOnMak,
  bucketCountFor,
  bucketItems,
  bucketKey,
  homeOf,
  markNameOf,
  markOf,
  reserveItem,
  usedOnMak,
} from '../store/mak-activations.ts';
import { meter } from './capacity-meter.ts';
import { anActivation, anAgreement, draw, makOf, median, newStore, someNow } from './fixture.ts';
import { startRecordedEngine } from './logged-dynamodb.ts';
import type { Effort, Row } from './report.ts';

/* Whether what is done often stays as cheap and as fast when there is more and more of what it is done among. */

/** Something done among so many, and how it is undone, so that the next time it is done among as many. */
type Turn = { act(): Promise<unknown>; undo?(): Promise<unknown> };
type Operation = { readonly what: string; readonly isExpectedToRise?: true; next(): Turn };
type Grown = { readonly store: Store; readonly operations: readonly Operation[] };

type Growing = {
  readonly of: string;
  readonly sizes: readonly number[];
  grow(size: number): Promise<Grown>;
};

/** As many on a page whatever there is, so that pages cost the same from the least size on. */
const pageSize = 9;
const fullness = 0.8;

/** A MAK that is as full, whatever its limit. The places in a bucket are taken by machines whose home it is. */
async function activations(size: number): Promise<Grown> {
  const store = await newStore();
  const keyId = store.vault.keyIdOf(draw());
  const limit = Math.ceil(size / fullness);
  const layout = { keyId, bucketCount: bucketCountFor(limit) };
  const buckets = new Map(bucketItems(keyId, limit).map((item) => [item.PK, item]));
  for (let placed = 0; placed < size; placed += 1) {
    const { activation, bucket } = newMachine(store, layout, buckets);
    bucket.used = Number(bucket.used) + 1;
    bucket.free = Number(bucket.free) - 1;
    bucket[markNameOf(activation.installationId)] = markOf(activation);
  }
  await putAll(store, [...buckets.values(), reserveItem(keyId, limit)]);
  return {
    store,
    operations: [
      activating(store, () => layout, buckets),
      // All buckets are read for it, so this one rises with the key.
      { what: 'how much is used', isExpectedToRise: true, next: () => ({ act: () => usedOnMak(store, layout) }) },
    ],
  };
}

/** A machine that is not there yet and whose home bucket has a place left. */
function newMachine(store: Store, layout: Layout, buckets: ReadonlyMap<string, Item>) {
  for (;;) {
    const activation = anActivation();
    const digest = store.vault.digestOf(layout.keyId, activation.installationId);
    const bucket = buckets.get(bucketKey(layout.keyId, homeOf(digest, layout.bucketCount)).PK);
    if (bucket !== undefined && Number(bucket.free) > 0) return { activation, digest, bucket };
  }
}

function activating(store: Store, anyLayout: () => Layout, buckets: ReadonlyMap<string, Item>): Operation {
  return {
    what: 'an activation',
    next() {
      const layout = anyLayout();
      const { activation, digest, bucket } = newMachine(store, layout, buckets);
      return {
        async act() {
          const { is } = await activateOnMak(store, layout, digest, activation);
          if (is !== 'activated') throw new Error(`An activation came out as ${is}.`);
        },
        undo: () => putAll(store, [bucket]),
      };
    },
  };
}

/** Keys of one agreement, each with the buckets and the pointers that it has. */
async function keys(size: number): Promise<Grown> {
  const store = await newStore();
  const limit = 50;
  const agreement = anAgreement('GROWTH', 1);
  const layouts: Layout[] = [];
  const items: Item[] = [];
  for (let count = 0; count < size; count += 1) {
    const productKey = draw();
    const mak: Mak = {
      type: 'MAK',
      keyId: store.vault.keyIdOf(productKey),
      agreementId: agreement.agreementId,
      productGroup: 'client',
      lastFive: productKey.lastFive,
      status: { is: 'live' },
      grants: [{ kind: 'initial', amount: limit, at: someNow, by: 'bench', reference: 'GROWTH', approvedBy: null }],
      issuedAt: someNow,
      replaces: null,
    };
    layouts.push({ keyId: mak.keyId, bucketCount: bucketCountFor(limit) });
    items.push(
      ...putsIn(
        issuingWrites(
          store,
          { key: mak, productKey, agreement },
          { actor: 'bench', operationId: `${count}`, now: someNow },
        ),
      ),
    );
    items.push(...bucketItems(mak.keyId, limit), reserveItem(mak.keyId, limit));
  }
  await putAll(store, items);
  const buckets = new Map(items.map((item) => [item.PK, item]));
  const anyLayout = () => oneOf(layouts);
  return {
    store,
    operations: [
      activating(store, anyLayout, buckets),
      { what: 'reading one', next: () => ({ act: () => readKey(store, anyLayout().keyId) }) },
      {
        what: 'a page of an agreement’s',
        next: () => ({ act: () => page(keysOf(store, agreement.agreementId, { limit: pageSize, after: null })) }),
      },
    ],
  };
}

/** Open requests, all of which are due. */
async function requests(size: number): Promise<Grown> {
  const store = await newStore();
  const agreement = anAgreement('GROWTH', 1);
  const { keyId } = await makOf(store, agreement.agreementId, 50);
  const key = (await readKey(store, keyId))?.state;
  const [requester] = agreement.contacts;
  if (key === undefined || requester === undefined) throw new Error('There is no key to ask for.');
  const intake = {
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
  const known = { agreement, keys: [key], openExceptionId: () => undefined };
  const received = receive(intake, known, 'first', { actor: requester.email, now: someNow, policy: store.policy });
  if (!received.ok) throw new Error(received.refusal.detail);
  const written = Array.from({ length: size }, (_, count): readonly Item[] => {
    const exceptionId = `request-${String(count).padStart(8, '0')}`;
    const request = { ...received.request, exceptionId, keyId: `key-${exceptionId}` };
    const owned = unwritten(exceptionItem(exceptionId), request);
    return [
      ...putsIn(movingWrites(store, owned, request, { operation: 'receive', now: someNow, deed: received.deed })),
      { ...openKey(request.keyId), exceptionId },
    ];
  });
  await putAll(store, written.flat());
  const sender = { maySpeakFor: () => true };
  const soon = later(someNow, { minutes: 5 });
  let opened = 0;
  return {
    store,
    operations: [
      {
        what: 'opening one',
        next() {
          opened += 1;
          const exceptionId = `opened-${String(opened).padStart(8, '0')}`;
          return {
            act: () =>
              accepted(
                receiveException(store, { exceptionId, intake }, sender, {
                  actor: requester.email,
                  operationId: 'receive',
                  now: someNow,
                  policy: store.policy,
                }),
              ),
            undo: () => remove(store, [exceptionItem(exceptionId), entryOf(exceptionId, 1), openKey(keyId)]),
          };
        },
      },
      {
        what: 'ending one',
        next() {
          const before = oneOf(written);
          const exceptionId = before[0]?.PK.slice('EXCEPTION#'.length) ?? '';
          return {
            act: () =>
              accepted(
                moveException(
                  store,
                  exceptionId,
                  (request) =>
                    reject(request, 'It is not needed.', {
                      actor: 'rui@licensing.example',
                      now: someNow,
                      policy: store.policy,
                    }),
                  { operationId: 'reject', now: someNow },
                ),
              ),
            async undo() {
              await putAll(store, before);
              await remove(store, [entryOf(exceptionId, 2)]);
            },
          };
        },
      },
      {
        what: 'what is due',
        next: () => ({ act: () => page(dueBy(store, 'EXCEPTION', soon, { limit: pageSize, after: null })) }),
      },
      {
        what: 'a page of the open',
        next: () => ({
          act: () =>
            page(listExceptions(store, { status: 'open', agreementIds: null }, { limit: pageSize, after: null })),
        }),
      },
    ],
  };
}

async function accepted(outcome: Promise<{ readonly ok: boolean } | undefined>): Promise<void> {
  if (!(await outcome)?.ok) throw new Error('A request was refused.');
}

async function page(read: Promise<{ readonly items: readonly unknown[] }>): Promise<void> {
  const { items } = await read;
  if (items.length !== pageSize) throw new Error(`A page had ${items.length} of ${pageSize}.`);
}

function entryOf(exceptionId: string, sequence: number): ItemKey {
  return { PK: ledgerPartition(exceptionItem(exceptionId).PK), SK: entryKey(sequence) };
}

function putsIn(writes: readonly TransactItem[]): Item[] {
  return writes.flatMap(({ Put }) => (Put === undefined ? [] : [Put.Item as Item]));
}

async function remove(store: Store, items: readonly ItemKey[]): Promise<void> {
  const removed = await commit(
    store,
    items.map(({ PK, SK }) => ({ Delete: { TableName: '', Key: { PK, SK } } })),
  );
  if (removed !== 'done') throw new Error('What was done was not undone.');
}

function oneOf<Each>(all: readonly Each[]): Each {
  const one = all[randomInt(all.length)];
  if (one === undefined) throw new Error('There is nothing to choose from.');
  return one;
}

export async function measure({ rounds, long }: Effort): Promise<readonly Row[]> {
  const upTo = (most: number) => [10, 100, 1_000, 10_000, 100_000].filter((size) => size <= most);
  const all: readonly Growing[] = [
    { of: 'activations on a key', sizes: upTo(long ? 100_000 : 10_000), grow: activations },
    { of: 'keys', sizes: upTo(long ? 10_000 : 1_000), grow: keys },
    { of: 'open requests', sizes: upTo(long ? 10_000 : 1_000), grow: requests },
  ];
  const before = process.env.AWS_ENDPOINT_URL_DYNAMODB;
  const engine = await startRecordedEngine();
  process.env.AWS_ENDPOINT_URL_DYNAMODB = engine.endpoint;
  try {
    const rows: Row[] = [];
    for (const growing of all) rows.push(...(await slopes(growing, rounds)));
    const operations = await engine.operations();
    const asked = [...operations.values()].reduce((sum, count) => sum + count, 0);
    if (asked === 0) throw new Error('The engine recorded nothing, so its record shows nothing.');
    rows.push({
      what: 'scans in the engine’s own record',
      measured: operations.get('Scan') ?? 0,
      unit: 'scans',
      beside: { what: 'requests', measured: asked },
      reach: { atMost: 0 },
      counted: true,
    });
    return rows;
  } finally {
    await engine.stop();
    process.env.AWS_ENDPOINT_URL_DYNAMODB = before;
  }
}

const turnsInARound = 10;

/** Takes every operation at every size in turn, and tells how steeply what it costs rises with the size. */
async function slopes({ of, sizes, grow }: Growing, rounds: number): Promise<readonly Row[]> {
  const all: (Operation & Sampled)[] = [];
  for (const size of sizes) {
    const { store, operations } = await grow(size);
    const metered = meter(store.client);
    all.push(...operations.map((each) => ({ ...each, size, metered, units: [], milliseconds: [] })));
  }
  for (let turn = -turnsInARound; turn < rounds * turnsInARound; turn += 1) {
    for (const { next, isExpectedToRise, metered, units, milliseconds } of all) {
      // To look through a large key takes its time: once in a round is enough to see how it rises.
      if (isExpectedToRise && turn % turnsInARound !== 0) continue;
      const { act, undo } = next();
      metered.reset();
      const began = performance.now();
      await act();
      const took = performance.now() - began;
      const { writeUnits, readUnits } = metered.used;
      await undo?.();
      // The first round is for the engine and the compiler to get warm.
      if (turn < 0) continue;
      units.push(writeUnits + readUnits);
      milliseconds.push(took);
    }
  }
  const most = (sizes.at(-1) ?? 0).toLocaleString('en-US');
  return [...Map.groupBy(all, ({ what }) => what)].flatMap(([what, samples]): Row[] => {
    const rises = samples.some(({ isExpectedToRise }) => isExpectedToRise);
    const units = samples.map((each) => [each.size, mean(each.units)] as const);
    const milliseconds = samples.map((each) => [each.size, median(each.milliseconds)] as const);
    return [
      {
        what: `${of}: ${what}, units`,
        measured: slopeOf(units),
        unit: 'slope',
        beside: { what: `at ${most}`, measured: units.at(-1)?.[1] ?? Number.NaN },
        counted: true,
        ...(rises ? {} : { reach: { atMost: 0.02 } }),
      },
      {
        what: `${of}: ${what}, time`,
        measured: slopeOf(milliseconds),
        unit: 'slope',
        beside: { what: `ms at ${most}`, measured: milliseconds.at(-1)?.[1] ?? Number.NaN },
        ...(rises ? {} : { reach: { atMost: 0.1 } }),
      },
    ];
  });
}

type Sampled = {
  readonly size: number;
  readonly metered: ReturnType<typeof meter>;
  readonly units: number[];
  readonly milliseconds: number[];
};

/** By what power of the size the cost rises: the slope of the straight line that is nearest, both in logarithms. */
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
