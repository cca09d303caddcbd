import { SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2';
import { mockClient } from 'aws-sdk-client-mock';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Store } from '../../store/store.ts';
import type { TestDynamoDb } from '../store/dynamodb.ts';

/** The environment of the Lambdas under test: their table, clock, and mocked SES. */
export type HandlerEnvironment = {
  readonly store: Store;
  readonly ses: ReturnType<typeof mockSes>;
  setClock(now: Instant): void;
  /** Returns the subjects of the emails to an address, oldest first. */
  mailsTo(address: string): readonly string[];
};

const mockSes = () => mockClient(SESv2Client);

/**
 * Sets up the environment for the Lambdas of a test file: one table for all of them, as in a warm process, and an SES that
 * accepts every email unless the test changes it. The Lambdas read the environment on import, so import them afterward.
 */
export async function setUpHandlerEnvironment(dynamoDb: TestDynamoDb, start: Instant): Promise<HandlerEnvironment> {
  const store = await dynamoDb.newStore();
  Object.assign(process.env, {
    TABLE_NAME: store.tableName,
    ROOT_SECRET: 'a root secret for tests, of more than 32 bytes',
    POLICY_FILE: 'policy.json',
    MAIL_FROM: 'Volume Activation <no-reply@licensing.example>',
    MAIL_TEAM: 'team@licensing.example',
    MAIL_SUPERVISORS: 'supervisors@licensing.example',
    MAIL_INBOUND: 'requests@licensing.example',
    PUBLIC_URL: 'https://approve.licensing.example',
    STATE_MACHINE_ARN: 'arn:aws:states:us-east-1:000000000000:stateMachine:exception-request',
    // No test with this environment reads the log or the metrics.
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_METRICS_DISABLED: 'true',
  });
  const { setClock } = await import('../../functions/runtime/clock.ts');
  let now = start;
  setClock(() => now);
  const ses = mockSes();
  ses.on(SendEmailCommand).resolves({ MessageId: 'message-1' });
  return {
    store,
    ses,
    setClock: (at) => {
      now = at;
    },
    mailsTo: (address) =>
      ses
        .commandCalls(SendEmailCommand)
        .flatMap(({ args: [{ input }] }) =>
          input.Destination?.ToAddresses?.includes(address) ? [input.Content?.Simple?.Subject?.Data ?? ''] : [],
        ),
  };
}
