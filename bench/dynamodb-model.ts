import { AsyncLocalStorage } from 'node:async_hooks';
import {
  ThrottlingException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { createPrng } from '../test/simulation/prng.ts';

/*
 * A model of DynamoDB's documented limits, which the local emulator does not have. It sits between the SDK and the
 * emulator, with a simulated clock that advances only when every client waits. The result therefore does not depend on
 * the machine and is the same every time. The store code, the SDK, and the emulator's responses are real.
 *
 * Each partition key is a partition of its own, as in DynamoDB when the key is hot. The limits of a whole table, which
 * rise with its use or its warm throughput, are not in the model.
 */

export const limits = {
  writeMilliseconds: 4,
  readMilliseconds: 4,
  transactionMilliseconds: 8,
  writeUnitsPerSecond: 1_000,
  readUnitsPerSecond: 3_000,
} as const;

/** Unused capacity is lost after this time. DynamoDB often keeps it longer, but does not promise it. */
const burstSeconds = 0.1;

export type DynamoDbModel = {
  /** Returns the time of the simulated clock in milliseconds, from 0. */
  now(): number;
  /** Lets the current client wait on the simulated clock. */
  wait(milliseconds: number): Promise<void>;
  /** Runs clients concurrently until all are done. Each client does one thing at a time. */
  run(clients: readonly (() => Promise<void>)[]): Promise<void>;
  /** The requests, and the throttled and conflicting ones among them, including the SDK's retries. */
  readonly counts: { requests: number; throttled: number; conflicts: number };
};

type WaitingClient = { readonly at: number; readonly client: number; readonly resume: () => void };
type RetryStrategy = Awaited<ReturnType<DynamoDBDocumentClient['config']['retryStrategy']>>;

/** Adds the limits to a client. */
export function installLimits(documentClient: DynamoDBDocumentClient): DynamoDbModel {
  let now = 0;
  let running = 0;
  const currentClient = new AsyncLocalStorage<number>();
  const waiting: WaitingClient[] = [];
  const counts = { requests: 0, throttled: 0, conflicts: 0 };
  const inTransactionUntil = new Map<string, number>();
  const writtenUntil = new Map<string, number>();
  const tokenBuckets = new Map<string, TokenBucket>();
  /** The units of the previous request for an item. A request is charged before the emulator reports its own units. */
  const previousUnits = new Map<string, number>();

  const resumeNext = () => {
    running -= 1;
    if (running > 0) return;
    const earliest = waiting.reduce<WaitingClient | undefined>(
      (best, each) => (isBefore(each, best) ? each : best),
      undefined,
    );
    if (earliest === undefined) return;
    waiting.splice(waiting.indexOf(earliest), 1);
    now = earliest.at;
    running = 1;
    earliest.resume();
  };
  const wait = (milliseconds: number) =>
    new Promise<void>((resume) => {
      waiting.push({ at: now + milliseconds, client: currentClient.getStore() ?? 0, resume });
      resumeNext();
    });

  /** Consumes capacity of all partitions and returns true, or consumes nothing if one of them has none left. */
  const consume = (kind: ModelRequest['kind'], items: readonly Item[]) => {
    const perSecond = kind === 'read' ? limits.readUnitsPerSecond : limits.writeUnitsPerSecond;
    const charges = items.map(({ partition, name }) => {
      const key = `${kind === 'read'} ${partition}`;
      const tokenBucket = tokenBuckets.get(key) ?? new TokenBucket(perSecond);
      tokenBuckets.set(key, tokenBucket);
      return { tokenBucket, units: previousUnits.get(`${kind} ${name}`) ?? (kind === 'transaction' ? 2 : 1) };
    });
    if (!charges.every(({ tokenBucket }) => tokenBucket.hasTokens(now))) return false;
    for (const { tokenBucket, units } of charges) tokenBucket.consume(units);
    return true;
  };

  const limitError = ({ kind, items }: ModelRequest): Error | undefined => {
    const isHeld = ({ name }: Item, until: Map<string, number>) => (until.get(name) ?? 0) > now;
    const conflicts = items.map(
      (item) =>
        kind !== 'read' && (isHeld(item, inTransactionUntil) || (kind === 'transaction' && isHeld(item, writtenUntil))),
    );
    if (conflicts.includes(true)) {
      counts.conflicts += 1;
      return kind === 'transaction'
        ? transactionCanceled(conflicts.map((each) => (each ? 'TransactionConflict' : 'None')))
        : new TransactionConflictException({ message: 'Transaction is ongoing for the item.', $metadata: {} });
    }
    if (consume(kind, items)) return undefined;
    counts.throttled += 1;
    return kind === 'transaction'
      ? transactionCanceled(items.map(() => 'ThrottlingError'))
      : new ThrottlingException({ message: 'Throughput exceeds the limit of the partition.', $metadata: {} });
  };

  documentClient.config.retryStrategy = async () =>
    createRetryStrategy(await documentClient.config.maxAttempts(), wait);
  documentClient.middlewareStack.add(
    (next) => (args) => next({ ...args, input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } }),
    { step: 'initialize', name: 'return-consumed-capacity' },
  );
  documentClient.middlewareStack.add(
    (next) => async (args) => {
      const request = toModelRequest(args.input as CommandInput);
      const { kind, items } = request;
      const milliseconds = limits[`${kind}Milliseconds`];
      const error = limitError(request);
      if (error === undefined && kind !== 'read') {
        const until = kind === 'transaction' ? inTransactionUntil : writtenUntil;
        for (const { name } of items) until.set(name, now + milliseconds);
      }
      await wait(milliseconds);
      counts.requests += 1;
      if (error !== undefined) throw error;
      const result = await next(args);
      const units = consumedUnitsIn(result.output) / items.length;
      for (const { name } of items) previousUnits.set(`${kind} ${name}`, units);
      return result;
    },
    // Inside the SDK's retries, and outside the deserialization of the response.
    { step: 'deserialize', priority: 'high', name: 'limits' },
  );
  return {
    now: () => now,
    wait,
    counts,
    async run(clients) {
      running += clients.length;
      await Promise.all(
        clients.map((runClient, client) =>
          currentClient.run(client, async () => {
            await runClient();
            resumeNext();
          }),
        ),
      );
    },
  };
}

/** Orders clients by the time for which they wait, and then by their number. */
function isBefore(one: WaitingClient, other: WaitingClient | undefined): boolean {
  return other === undefined || one.at < other.at || (one.at === other.at && one.client < other.client);
}

class TokenBucket {
  readonly #perSecond: number;
  #tokens: number;
  #refilledAt = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond * burstSeconds;
  }

  hasTokens(now: number): boolean {
    const refill = ((now - this.#refilledAt) / 1_000) * this.#perSecond;
    this.#tokens = Math.min(this.#perSecond * burstSeconds, this.#tokens + refill);
    this.#refilledAt = now;
    return this.#tokens > 0;
  }

  consume(units: number): void {
    this.#tokens -= units;
  }
}

type Item = { readonly partition: string; readonly name: string };
type ModelRequest = { readonly kind: 'read' | 'write' | 'transaction'; readonly items: readonly Item[] };
type Attributes = Readonly<Record<string, { readonly S?: string }>>;
type Target = { readonly Key?: Attributes; readonly Item?: Attributes };
type CommandInput = Target & {
  readonly UpdateExpression?: string;
  readonly TransactItems?: readonly { readonly Update?: Target; readonly Put?: Target }[];
  readonly RequestItems?: Readonly<Record<string, { readonly Keys?: readonly Attributes[] }>>;
};

/** Returns the kind and the items of a request. It supports the requests of an activation. */
function toModelRequest(input: CommandInput): ModelRequest {
  if (input.TransactItems !== undefined) {
    return { kind: 'transaction', items: input.TransactItems.map(({ Update, Put }) => itemAt(Update ?? Put ?? {})) };
  }
  if (input.RequestItems !== undefined) {
    const keys = Object.values(input.RequestItems).flatMap(({ Keys = [] }) => Keys);
    return { kind: 'read', items: keys.map((Key) => itemAt({ Key })) };
  }
  return { kind: input.UpdateExpression === undefined ? 'read' : 'write', items: [itemAt(input)] };
}

function itemAt({ Key, Item }: Target): Item {
  const { PK, SK } = Key ?? Item ?? {};
  if (PK?.S === undefined || SK?.S === undefined) throw new Error('The model does not support this request.');
  return { partition: PK.S, name: `${PK.S} ${SK.S}` };
}

function transactionCanceled(codes: readonly string[]): TransactionCanceledException {
  return new TransactionCanceledException({
    message: 'Transaction canceled.',
    CancellationReasons: codes.map((Code) => ({ Code })),
    $metadata: {},
  });
}

type ConsumedCapacity = { readonly CapacityUnits?: number };

function consumedUnitsIn(output: unknown): number {
  const { ConsumedCapacity = [] } = output as { ConsumedCapacity?: ConsumedCapacity | readonly ConsumedCapacity[] };
  return [ConsumedCapacity].flat().reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
}

/**
 * Returns the SDK's standard retry strategy for throttled requests, with its parameters, on the simulated clock. In
 * production, each function has its own strategy. Here, all clients share one.
 */
function createRetryStrategy(attemptsMax: number, wait: DynamoDbModel['wait']): RetryStrategy {
  const prng = createPrng(4);
  const token = (count: number) => ({ getRetryCount: () => count, getRetryDelay: () => 0 });
  return {
    acquireInitialRetryToken: async () => token(0),
    async refreshRetryTokenForRetry(previous, { errorType }) {
      const count = previous.getRetryCount();
      if (errorType !== 'THROTTLING' || count + 1 >= attemptsMax) throw new Error('No retries are left.');
      await wait(prng.below(Math.min(20_000, 1_000 * 2 ** count)));
      return token(count + 1);
    },
    recordSuccess: () => undefined,
  };
}
