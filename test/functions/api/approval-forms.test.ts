import { randomUUID } from 'node:crypto';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { requestApproval } from '../../../domain/exceptions/approval.ts';
import { Secret } from '../../../domain/secret.ts';
import { saveLink } from '../../../store/approval-links.ts';
import { findException, transitionException } from '../../../store/exceptions.ts';
import { context } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import { createRequestFixture } from '../request-fixture.ts';

const { store } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const { handler } = await import('../../../functions/api/approvals.ts');

const ownHost = 'approve.licensing.example';

/** Creates a request that waits for approval, and returns a function that posts a form to its link. */
async function approvalLink() {
  const { exceptionId, agreement } = await createRequestFixture(store);
  await transitionException(store, exceptionId, (request) => requestApproval(request, context()), {
    operationId: 'ask',
    now: mondayTen,
  });
  const token = new Secret(randomUUID().replaceAll('-', '').padEnd(43, 'a'), '[token]');
  const to = agreement.noticesCorrespondent.email;
  const link = {
    kind: 'decision',
    exceptionId,
    round: 1,
    to,
    expiresAt: addDuration(mondayTen, { days: 10 }),
  } as const;
  await saveLink(store, { token, code: new Secret('123456', '[code]') }, link, mondayTen);
  const post = async (body: string, headers: Readonly<Record<string, string>> = {}) => {
    const event = {
      version: '2.0',
      routeKey: 'POST /approvals/{token}',
      rawPath: '/approvals/TOKEN',
      rawQueryString: '',
      headers: { host: ownHost, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      pathParameters: { token: token.reveal() },
      body,
      isBase64Encoded: false,
      requestContext: { requestId: randomUUID(), http: { method: 'POST', path: '/' } },
    } as unknown as APIGatewayProxyEventV2;
    return handler(event, {} as Context);
  };
  const decision = async () => {
    const state = (await findException(store, exceptionId))?.state;
    return state !== undefined && 'round' in state ? (state.round?.decision?.decision ?? null) : null;
  };
  return { post, decision };
}

const approve = 'code=123456&decision=approve&comment=';

describe('a form of another website', () => {
  it.each([
    [{ 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' }],
    [{ 'sec-fetch-site': 'same-site', origin: 'https://other.licensing.example' }],
    [{ origin: 'https://evil.example' }],
    [{ origin: 'not an origin' }],
  ])('APR-5 is refused and decides nothing: %j', async (headers) => {
    const { post, decision } = await approvalLink();
    const response = await post(approve, headers);
    expect(response).toMatchObject({
      statusCode: 403,
      body: expect.stringContaining('Another website sent this form'),
    });
    expect(await decision()).toBeNull();
  });

  it.each([
    [{ 'sec-fetch-site': 'same-origin', origin: `https://${ownHost}` }],
    [{ 'sec-fetch-site': 'same-origin', origin: 'null' }],
    [{ 'sec-fetch-site': 'none' }],
    [{ origin: `https://${ownHost}` }],
    [{ origin: 'null' }],
    [{}],
  ])('APR-5 is not what our own page or a program sends: %j', async (headers) => {
    const { post, decision } = await approvalLink();
    expect(await post(approve, headers)).toMatchObject({ statusCode: 200 });
    expect(await decision()).toBe('approve');
  });
});

describe('a form with two decisions', () => {
  it.each(['decision=deny&decision=approve', 'decision=approve&decision=approve'])(
    'APR-4 decides nothing, and asks for one: %s',
    async (decisions) => {
      const { post, decision } = await approvalLink();
      expect(await post(`code=123456&comment=&${decisions}`)).toMatchObject({ statusCode: 422 });
      expect(await decision()).toBeNull();
    },
  );
});
