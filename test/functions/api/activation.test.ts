import { randomUUID } from 'node:crypto';
import { UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { reserveKey } from '../../../store/mak-bucket.ts';
import { context, installationId } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import { createRequestFixture } from '../request-fixture.ts';

const { store } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/api/activation.ts');
const { findKey, revealKey } = await import('../../../store/keys.ts');

/** Sends a device's request straight to the Lambda. */
async function send(route: 'POST /activations' | 'POST /activations/batch', body: object) {
  const [method, path] = route.split(' ');
  const event = {
    version: '2.0',
    routeKey: route,
    rawPath: path,
    rawQueryString: '',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    isBase64Encoded: false,
    requestContext: { requestId: randomUUID(), http: { method, path } },
  } as unknown as APIGatewayProxyEventV2;
  return (await handler(event, {} as Context)) as { readonly statusCode: number };
}

describe('a reserve that is ahead of its key, as after a restore from a backup', () => {
  it.each(['POST /activations', 'POST /activations/batch'] as const)(
    'MAK-1 is retried a limited number of times, and then %s returns 503',
    async (route) => {
      const { mak } = await createRequestFixture(store);
      const revealed = await revealKey(store, mak.keyId, context({ operationId: 'reveal' }));
      if (!revealed?.ok) throw new Error('The key cannot be read.');
      await store.client.send(
        new UpdateCommand({
          TableName: store.tableName,
          Key: reserveKey(mak.keyId),
          UpdateExpression: 'SET #limit = :limit, #available = :zero',
          ExpressionAttributeNames: { '#limit': 'limit', '#available': 'available' },
          ExpressionAttributeValues: { ':limit': 100_000, ':zero': 0 },
        }),
      );
      const productKey = revealed.value.reveal();
      // The slots of the key are used first. The activation after them finds a stale layout.
      const machines = Array.from({ length: 101 }, (_, number) => installationId(number));
      const product = 'windows-vista-business';
      const responses: { readonly statusCode: number }[] = [];
      for (const machine of machines) {
        responses.push(
          await (route === 'POST /activations'
            ? send(route, { productKey, installationId: machine, product })
            : send(route, { productKey, activations: [{ installationId: machine, product }] })),
        );
        if (responses.at(-1)?.statusCode === 503) break;
      }
      expect(await findKey(store, mak.keyId)).toMatchObject({ state: { status: 'live' } });
      expect(responses.map(({ statusCode }) => statusCode)).toContain(503);
    },
  );
});
