import middy from '@middy/core';
import * as z from 'zod';
import type { InboundMailStore } from '../../store/inbound-mail.ts';
import { createInboundMailStore } from '../../store/inbound-mail.ts';
import { inboundMailEnvironment } from '../environment.ts';
import { mailBytesMax } from '../mail/mime.ts';
import { inboundMailPrefix } from '../manifest.ts';
import { clock } from '../runtime/clock.ts';
import { countFaults, logContext, logOutcome } from '../runtime/log-middleware.ts';
import { getMailer } from '../runtime/mailer.ts';
import { countFunctionMetric, logger } from '../runtime/observability.ts';
import { getStore } from '../runtime/store.ts';
import { getWorkflowClient } from '../runtime/workflow-client.ts';
import { processInboundMail } from '../use-cases/process-inbound-mail.ts';

const verdictSchema = z.object({ status: z.string() });

/** The SES event for a stored email, reduced to the fields that are read. */
const sesEventSchema = z.object({
  Records: z
    .array(
      z.object({
        ses: z.object({
          mail: z.object({ messageId: z.string().regex(/^[\w.-]+$/), source: z.string().default('') }),
          receipt: z.object({
            recipients: z.array(z.string()),
            spfVerdict: verdictSchema,
            dkimVerdict: verdictSchema,
            dmarcVerdict: verdictSchema.optional(),
            spamVerdict: verdictSchema.optional(),
            virusVerdict: verdictSchema.optional(),
          }),
        }),
      }),
    )
    .min(1),
});
type Receipt = z.infer<typeof sesEventSchema>['Records'][number]['ses']['receipt'];

/** Processes each email that SES has stored in the bucket (EXC-13, EXC-14). */
export const handler = middy<unknown, void>()
  .use(logContext())
  .use(logOutcome({ failed: 'inbound message failed', fieldsOf: (event) => ({ messageIds: messageIdsOf(event) }) }))
  .use(countFaults())
  .handler(async (event) => {
    for (const { ses } of sesEventSchema.parse(event).Records) {
      const { messageId, source } = ses.mail;
      const stored = await getInboundMailStore().read(`${inboundMailPrefix}${messageId}`, mailBytesMax);
      const envelope = { from: source, to: ses.receipt.recipients };
      const result = await processInboundMail(
        { ...stored, envelope, isVerified: isVerified(ses.receipt) },
        { store: getStore(), workflowClient: getWorkflowClient(), mailer: getMailer() },
        clock.now(),
      );
      logger.info('inbound message processed', { messageId, ...result });
      countFunctionMetric({ [`inbound-mail-${result.kind}`]: 1 });
    }
  });

function messageIdsOf(event: unknown): readonly string[] {
  return sesEventSchema.safeParse(event).data?.Records.map(({ ses }) => ses.mail.messageId) ?? [];
}

function isVerified({ spfVerdict, dkimVerdict, dmarcVerdict, spamVerdict, virusVerdict }: Receipt): boolean {
  const hasPassed = [spfVerdict, dkimVerdict, dmarcVerdict].every((verdict) => verdict?.status === 'PASS');
  return hasPassed && [spamVerdict, virusVerdict].every((verdict) => verdict?.status !== 'FAIL');
}

let cachedStore: InboundMailStore | undefined;

function getInboundMailStore(): InboundMailStore {
  cachedStore ??= createInboundMailStore(inboundMailEnvironment().INBOUND_MAIL_BUCKET);
  return cachedStore;
}
