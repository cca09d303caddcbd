import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it } from 'vitest';
import { installLimits } from '../../bench/dynamodb-model.ts';

/** Returns a model in front of a fake emulator, which accepts every request and reports the given units. */
function aModel(units = 1) {
  const client = DynamoDBDocumentClient.from(
    new DynamoDBClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
      maxAttempts: 4,
      requestHandler: {
        handle: async () => ({
          response: {
            statusCode: 200,
            headers: { 'content-type': 'application/x-amz-json-1.0' },
            body: Buffer.from(JSON.stringify({ ConsumedCapacity: { TableName: 'table', CapacityUnits: units } })),
          },
        }),
      },
    }),
  );
  const model = installLimits(client);
  const log: string[] = [];
  const logged = (description: string, call: () => Promise<unknown>) => async () => {
    const outcome = await call().then(
      () => 'done',
      (error: Error) => error.name,
    );
    log.push(`${description}: ${outcome} at ${model.now()}`);
  };
  const key = (name: string) => ({ PK: name, SK: 'ITEM' });
  return {
    model,
    log,
    read: (name: string) =>
      logged(`read ${name}`, () => client.send(new GetCommand({ TableName: 'table', Key: key(name) }))),
    write: (name: string) => logged(`write ${name}`, () => client.send(anUpdate(name))),
    transact: (...names: readonly string[]) =>
      logged(`transaction ${names.join(' ')}`, () =>
        client.send(
          new TransactWriteCommand({
            TransactItems: names.map((name) => ({
              Update: { TableName: 'table', Key: key(name), UpdateExpression: 'REMOVE a' },
            })),
          }),
        ),
      ),
    send: (name: string) => client.send(anUpdate(name)),
  };
}

function anUpdate(name: string) {
  return new UpdateCommand({ TableName: 'table', Key: { PK: name, SK: 'ITEM' }, UpdateExpression: 'REMOVE a' });
}

describe('concurrent requests in the model of DynamoDB’s limits', () => {
  it('accepts two concurrent writes of one item, in the time of one write', async () => {
    const { model, log, write } = aModel();
    await model.run([write('a'), write('a')]);
    expect(log).toEqual(['write a: done at 4', 'write a: done at 4']);
  });

  it('cancels the second of two transactions that share an item, and completes the first', async () => {
    const { model, log, transact } = aModel();
    await model.run([transact('a', 'b'), transact('b', 'c')]);
    expect(log).toEqual(['transaction a b: done at 8', 'transaction b c: TransactionCanceledException at 8']);
    expect(model.counts).toEqual({ requests: 2, throttled: 0, conflicts: 1 });
  });

  it('rejects a write of an item that is in a transaction, and accepts it after the transaction', async () => {
    const { model, log, transact, write } = aModel();
    const writeTwice = async () => {
      await write('a')();
      await model.wait(4);
      await write('a')();
    };
    await model.run([transact('a', 'b'), writeTwice]);
    expect(log).toEqual([
      'write a: TransactionConflictException at 4',
      'transaction a b: done at 8',
      'write a: done at 12',
    ]);
  });

  it('cancels a transaction with an item that is being written', async () => {
    const { model, log, transact, write } = aModel();
    await model.run([write('a'), transact('a', 'b')]);
    expect(log).toEqual(['write a: done at 4', 'transaction a b: TransactionCanceledException at 8']);
  });

  it('accepts reads of an item that is in a transaction', async () => {
    const { model, log, transact, read } = aModel();
    await model.run([transact('a', 'b'), read('a')]);
    expect(log).toEqual(['read a: done at 4', 'transaction a b: done at 8']);
  });
});

describe('a partition in the model', () => {
  /**
   * Lets 40 clients write items of the given units on some partitions, and returns their rate and the request counts.
   */
  async function runWriters(units: number, partitions: number, seconds: number) {
    const { model, send } = aModel(units);
    let done = 0;
    await model.run(
      Array.from({ length: 40 }, (_, client) => async () => {
        while (model.now() < seconds * 1_000) {
          try {
            await send(`partition ${client % partitions}`);
            done += 1;
          } catch (error) {
            expect((error as Error).name).toBe('ThrottlingException');
          }
        }
      }),
    );
    return { perSecond: done / seconds, ...model.counts };
  }

  it('accepts at most 1,000 write units per second, and the SDK retries throttled requests', async () => {
    const { perSecond, throttled, requests } = await runWriters(4, 1, 5);
    expect(perSecond).toBeGreaterThan(150);
    expect(perSecond).toBeLessThan(1_100 / 4);
    expect(throttled).toBeGreaterThan(0);
    expect(requests).toBeGreaterThan(throttled);
  });

  it('has its own limit', async () => {
    const { perSecond, throttled } = await runWriters(1, 40, 0.1);
    expect(perSecond).toBe(40 * 250);
    expect(throttled).toBe(0);
  });

  it('has the same result in every run', async () => {
    expect(await runWriters(4, 2, 2)).toEqual(await runWriters(4, 2, 2));
  });
});
