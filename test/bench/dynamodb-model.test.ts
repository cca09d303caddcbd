import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient, GetCommand, TransactWriteCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { describe, expect, it } from 'vitest';
import { installLimits } from '../../bench/dynamodb-model.ts';

/** A model before an engine that answers everything at once with yes, and says that it cost so much. */
function aModel(units = 1) {
  const connection = DynamoDBDocumentClient.from(
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
  const model = installLimits(connection);
  const told: string[] = [];
  const tell = (what: string, call: () => Promise<unknown>) => async () => {
    const outcome = await call().then(
      () => 'done',
      (error: Error) => error.name,
    );
    told.push(`${what}: ${outcome} at ${model.now()}`);
  };
  const key = (name: string) => ({ PK: name, SK: 'ITEM' });
  return {
    model,
    told,
    read: (name: string) =>
      tell(`read ${name}`, () => connection.send(new GetCommand({ TableName: 'table', Key: key(name) }))),
    write: (name: string) => tell(`write ${name}`, () => connection.send(anUpdate(name))),
    transact: (...names: readonly string[]) =>
      tell(`transaction ${names.join(' ')}`, () =>
        connection.send(
          new TransactWriteCommand({
            TransactItems: names.map((name) => ({
              Update: { TableName: 'table', Key: key(name), UpdateExpression: 'REMOVE a' },
            })),
          }),
        ),
      ),
    send: (name: string) => connection.send(anUpdate(name)),
  };
}

function anUpdate(name: string) {
  return new UpdateCommand({ TableName: 'table', Key: { PK: name, SK: 'ITEM' }, UpdateExpression: 'REMOVE a' });
}

describe('requests that overlap in the model of DynamoDB’s limits', () => {
  it('lets single writes of one item pass side by side, in the time that one takes', async () => {
    const { model, told, write } = aModel();
    await model.run([write('a'), write('a')]);
    expect(told).toEqual(['write a: done at 4', 'write a: done at 4']);
  });

  it('cancels the second of two transactions that share an item, and the first goes on', async () => {
    const { model, told, transact } = aModel();
    await model.run([transact('a', 'b'), transact('b', 'c')]);
    expect(told).toEqual(['transaction a b: done at 8', 'transaction b c: TransactionCanceledException at 8']);
    expect(model.counts).toEqual({ requests: 2, throttled: 0, conflicts: 1 });
  });

  it('refuses a write of an item that is in a transaction, and takes it once that is over', async () => {
    const { model, told, transact, write } = aModel();
    const twice = async () => {
      await write('a')();
      await model.wait(4);
      await write('a')();
    };
    await model.run([transact('a', 'b'), twice]);
    expect(told).toEqual([
      'write a: TransactionConflictException at 4',
      'transaction a b: done at 8',
      'write a: done at 12',
    ]);
  });

  it('cancels a transaction of an item that is being written', async () => {
    const { model, told, transact, write } = aModel();
    await model.run([write('a'), transact('a', 'b')]);
    expect(told).toEqual(['write a: done at 4', 'transaction a b: TransactionCanceledException at 8']);
  });

  it('lets reads pass whatever happens to the item', async () => {
    const { model, told, transact, read } = aModel();
    await model.run([transact('a', 'b'), read('a')]);
    expect(told).toEqual(['read a: done at 4', 'transaction a b: done at 8']);
  });
});

describe('a partition in the model', () => {
  /** How many writes of so many units a crowd gets through on so many partitions a second, and what it took. */
  async function crowd(units: number, partitions: number, seconds: number) {
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

  it('takes no more than 1,000 write units a second, and what it refuses is tried again by the SDK', async () => {
    const { perSecond, throttled, requests } = await crowd(4, 1, 5);
    expect(perSecond).toBeGreaterThan(150);
    expect(perSecond).toBeLessThan(1_100 / 4);
    expect(throttled).toBeGreaterThan(0);
    expect(requests).toBeGreaterThan(throttled);
  });

  it('has its limit for itself', async () => {
    const { perSecond, throttled } = await crowd(1, 40, 0.1);
    expect(perSecond).toBe(40 * 250);
    expect(throttled).toBe(0);
  });

  it('is the same each time', async () => {
    expect(await crowd(4, 2, 2)).toEqual(await crowd(4, 2, 2));
  });
});
