import { SESv2Client, SendEmailCommand } from '@aws-sdk/client-sesv2';
import { mockClient } from 'aws-sdk-client-mock';
import type { Instant } from '../../domain/calendar/instant.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { Engine } from '../store/dynamodb.ts';

/** A Lambda's surroundings: its environment, the clock it goes by, and what it mails. */
export type Inside = {
  readonly store: Store;
  readonly ses: ReturnType<typeof mockedSes>;
  setClock(now: Instant): void;
  /** What was mailed to an address, oldest first: the subjects. */
  mailsTo(address: string): readonly string[];
};

const mockedSes = () => mockClient(SESv2Client);

/**
 * Makes the surroundings of the Lambdas of this test file: one table for all of them, as in a warm process, and a mail
 * service that takes everything unless the test says otherwise. They read them when they are imported, so import them after.
 */
export async function surround(engine: Engine, start: Instant): Promise<Inside> {
  const store = await engine.newStore();
  Object.assign(process.env, {
    TABLE_NAME: store.tableName,
    VAULT_SECRET: 'a root secret for tests, of more than 32 bytes',
    POLICY_FILE: 'policy.json',
    MAIL_FROM: 'Volume Activation <no-reply@licensing.example>',
    MAIL_TEAM: 'team@licensing.example',
    MAIL_SUPERVISORS: 'supervisors@licensing.example',
    MAIL_INBOUND: 'requests@licensing.example',
    PUBLIC_URL: 'https://approve.licensing.example',
    STATE_MACHINE_ARN: 'arn:aws:states:us-east-1:000000000000:stateMachine:exception-request',
    // What is logged and counted is looked at by no test, and would only hide what one has to say.
    POWERTOOLS_LOG_LEVEL: 'SILENT',
    POWERTOOLS_METRICS_DISABLED: 'true',
  });
  const { keepTimeBy } = await import('../../functions/runtime/clock.ts');
  let now = start;
  keepTimeBy(() => now);
  const ses = mockedSes();
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
