import { AsyncLocalStorage } from 'node:async_hooks';
import {
  ThrottlingException,
  TransactionCanceledException,
  TransactionConflictException,
} from '@aws-sdk/client-dynamodb';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { createPrng } from '../test/simulation/prng.ts';

/*
 * The limits that DynamoDB documents and the engine of this machine does not have, put between the SDK and the engine, on
 * a clock that moves only when every client waits. So what is measured does not depend on the machine, and the same run
 * comes out the same each time. The store code, the SDK and what the engine answers are the real ones.
 *
 * Each partition key is a partition of its own, as DynamoDB makes it when it is hot. A whole table has its limits too,
 * which rise with its use or when it is warmed; they are not in the model.
 */

export const limits = {
  writeMilliseconds: 4,
  readMilliseconds: 4,
  transactionMilliseconds: 8,
  writeUnitsPerSecond: 1_000,
  readUnitsPerSecond: 3_000,
} as const;

/** What a partition has not used within this time is lost: DynamoDB often lets it be used later, but does not promise it. */
const burstSeconds = 0.1;

export type DynamoDbModel = {
  /** The model's time, in milliseconds from its beginning. */
  now(): number;
  /** Lets the client that acts wait in the model's time. */
  wait(milliseconds: number): Promise<void>;
  /** Lets clients act at once until all are done. Each does one thing at a time. */
  run(clients: readonly (() => Promise<void>)[]): Promise<void>;
  /** What was sent, and what of it was refused, the SDK's own attempts included. */
  readonly counts: { requests: number; throttled: number; conflicts: number };
};

type WaitingClient = { readonly at: number; readonly client: number; readonly resume: () => void };
type RetryStrategy = Awaited<ReturnType<DynamoDBDocumentClient['config']['retryStrategy']>>;

/** Puts the limits into a connection's way to the engine. */
export function installLimits(connection: DynamoDBDocumentClient): DynamoDbModel {
  let now = 0;
  let running = 0;
  const currentClient = new AsyncLocalStorage<number>();
  const waiting: WaitingClient[] = [];
  const counts = { requests: 0, throttled: 0, conflicts: 0 };
  const inTransactionUntil = new Map<string, number>();
  const writtenUntil = new Map<string, number>();
  const tokenBuckets = new Map<string, TokenBucket>();
  /** What an item cost the last time; it is charged that again, since the engine tells the cost only afterwards. */
  const costs = new Map<string, number>();

  const resumeNext = () => {
    running -= 1;
    if (running > 0) return;
    const first = waiting.reduce<WaitingClient | undefined>(
      (best, each) => (isBefore(each, best) ? each : best),
      undefined,
    );
    if (first === undefined) return;
    waiting.splice(waiting.indexOf(first), 1);
    now = first.at;
    running = 1;
    first.resume();
  };
  const wait = (milliseconds: number) =>
    new Promise<void>((resume) => {
      waiting.push({ at: now + milliseconds, client: currentClient.getStore() ?? 0, resume });
      resumeNext();
    });

  /** Whether all the partitions have capacity left; only then is any of it used. */
  const consume = (kind: ModelRequest['kind'], items: readonly Item[]) => {
    const perSecond = kind === 'read' ? limits.readUnitsPerSecond : limits.writeUnitsPerSecond;
    const charges = items.map(({ partition, name }) => {
      const key = `${kind === 'read'} ${partition}`;
      const tokenBucket = tokenBuckets.get(key) ?? new TokenBucket(perSecond);
      tokenBuckets.set(key, tokenBucket);
      return { allowance: tokenBucket, units: costs.get(`${kind} ${name}`) ?? (kind === 'transaction' ? 2 : 1) };
    });
    if (!charges.every(({ allowance: tokenBucket }) => tokenBucket.hasTokens(now))) return false;
    for (const { allowance: tokenBucket, units } of charges) tokenBucket.consume(units);
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

  connection.config.retryStrategy = async () => createRetryStrategy(await connection.config.maxAttempts(), wait);
  connection.middlewareStack.add(
    (next) => (args) => next({ ...args, input: { ...args.input, ReturnConsumedCapacity: 'TOTAL' } }),
    { step: 'initialize', name: 'ask-for-cost' },
  );
  connection.middlewareStack.add(
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
      for (const { name } of items) costs.set(`${kind} ${name}`, units);
      return result;
    },
    // Within the SDK's own attempts, and outside of what reads the engine's answer.
    { step: 'deserialize', priority: 'high', name: 'limits' },
  );
  return {
    now: () => now,
    wait,
    counts,
    async run(clients) {
      running += clients.length;
      await Promise.all(
        clients.map((act, client) =>
          currentClient.run(client, async () => {
            await act();
            resumeNext();
          }),
        ),
      );
    },
  };
}

/** Of those who wait for the same moment, the first client goes first. */
function isBefore(one: WaitingClient, other: WaitingClient | undefined): boolean {
  return other === undefined || one.at < other.at || (one.at === other.at && one.client < other.client);
}

class TokenBucket {
  readonly #perSecond: number;
  #left: number;
  #at = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond * burstSeconds;
  }

  hasTokens(now: number): boolean {
    this.#left = Math.min(this.#perSecond * burstSeconds, this.#left + ((now - this.#at) / 1_000) * this.#perSecond);
    this.#at = now;
    return this.#left > 0;
  }

  consume(units: number): void {
    this.#left -= units;
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

/** What a request touches, as far as an activation goes. */
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
  if (PK?.S === undefined || SK?.S === undefined) throw new Error('The model knows no such request.');
  return { partition: PK.S, name: `${PK.S} ${SK.S}` };
}

function transactionCanceled(codes: readonly string[]): TransactionCanceledException {
  return new TransactionCanceledException({
    message: 'Transaction cancelled.',
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
 * The SDK's standard way of trying a throttled request again, with its numbers, in the model's time. Each function has its
 * own in fact; here all clients share one.
 */
function createRetryStrategy(attemptsMax: number, wait: DynamoDbModel['wait']): RetryStrategy {
  const prng = createPrng(4);
  const token = (count: number) => ({ getRetryCount: () => count, getRetryDelay: () => 0 });
  return {
    acquireInitialRetryToken: async () => token(0),
    async refreshRetryTokenForRetry(before, { errorType }) {
      const count = before.getRetryCount();
      if (errorType !== 'THROTTLING' || count + 1 >= attemptsMax) throw new Error('No attempt is left.');
      await wait(prng.below(Math.min(20_000, 1_000 * 2 ** count)));
      return token(count + 1);
    },
    recordSuccess: () => undefined,
  };
}
