import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageRejected, SendEmailCommand } from '@aws-sdk/client-sesv2';
import type { APIGatewayProxyEventV2, Context } from 'aws-lambda';
import { afterAll, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import { requestApproval } from '../../../domain/exceptions/approval.ts';
import { Secret } from '../../../domain/secret.ts';
import { saveLink } from '../../../store/approval-links.ts';
import { transitionException } from '../../../store/exceptions.ts';
import { listLedgerEntries } from '../../../store/ledger.ts';
import { context, policy } from '../../builders.ts';
import { mondayTen } from '../../instants.ts';
import { startTestDynamoDb } from '../../store/dynamodb.ts';
import { setUpHandlerEnvironment } from '../handler-invocation.ts';
import { createRequestFixture } from '../request-fixture.ts';

const { store, ses } = await setUpHandlerEnvironment(await startTestDynamoDb(), mondayTen);
const folder = mkdtempSync(join(tmpdir(), 'policy-'));
afterAll(() => rmSync(folder, { recursive: true }));
const strict = { ...policy, approval: { ...policy.approval, strict: 'always' } };
writeFileSync(join(folder, 'policy.json'), JSON.stringify(strict));
process.env.POLICY_FILE = join(folder, 'policy.json');
const { handler } = await import('../../../functions/api/approvals.ts');

it('APR-7 records in the history that the mail service refused a code', async () => {
  const { exceptionId, agreement } = await createRequestFixture(store);
  await transitionException(store, exceptionId, (request) => requestApproval(request, context()), {
    operationId: 'ask',
    now: mondayTen,
  });
  const token = new Secret('a'.repeat(43), '[token]');
  const to = agreement.noticesCorrespondent.email;
  const about = {
    kind: 'decision',
    exceptionId,
    round: 1,
    to,
    expiresAt: addDuration(mondayTen, { days: 10 }),
  } as const;
  await saveLink(store, { token, code: null }, about, mondayTen);

  ses.on(SendEmailCommand).rejects(new MessageRejected({ message: 'Bad address', $metadata: { httpStatusCode: 400 } }));
  const event = {
    version: '2.0',
    routeKey: 'POST /approvals/{token}/codes',
    rawPath: '/approvals/TOKEN/codes',
    rawQueryString: '',
    headers: { accept: 'application/json' },
    pathParameters: { token: token.reveal() },
    isBase64Encoded: false,
    requestContext: { requestId: randomUUID(), http: { method: 'POST', path: '/' } },
  } as unknown as APIGatewayProxyEventV2;
  expect(await handler(event, {} as Context)).toMatchObject({ statusCode: 202 });

  const { items } = await listLedgerEntries(store, `EXCEPTION#${exceptionId}`, { limit: 10, after: null });
  expect(items.at(-1)).toMatchObject({
    action: 'mail-not-delivered',
    detail: expect.stringContaining('“approval-code” to the correspondent'),
  });
});
