import type { SESv2ClientConfig } from '@aws-sdk/client-sesv2';
import { SESv2Client, SESv2ServiceException, SendEmailCommand } from '@aws-sdk/client-sesv2';
import type { Email } from './layout.ts';

/** What became of a mail. Not sent is for good: however often it were tried, this mail would not get to this address. */
export type SendResult =
  | { readonly sent: true; readonly messageId: string }
  | { readonly sent: false; readonly because: string };

/** Contention: the account may not send more just now. The same mail can be sent later. */
export class SendThrottledError extends Error {
  override readonly name = 'SendThrottledError';
}

/** A fault: nobody knows whether the mail was sent, or something of ours is set up wrongly. The cause says more. */
export class SendFailedError extends Error {
  override readonly name = 'SendFailedError';
}

export type SendEmail = (mail: Email, to: string, options?: SendOptions) => Promise<SendResult>;

type SendOptions = {
  /** What the sending statistics tell mails apart by, such as `{ kind: 'approval-requested' }`: never a person or a secret. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Where an answer goes, when the letter asks for one (EXC-14). */
  readonly replyTo?: string;
};

/**
 * SES takes a mail in well under a second. A letter is claimed while it is sent, and sent by somebody else once the claim
 * is over, so a try must end long before: three tries of five seconds at the most, with the pauses between them, are
 * over in 20. Three are enough for a burst above the sending rate; what lasts longer is for the sweep.
 */
const boundedClientConfig: SESv2ClientConfig = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 5_000, throwOnRequestTimeout: true },
};

/**
 * Opens the door to SES. Mails go out from one address (`from`, which may have a name before it in `<>`), counted by a
 * configuration set if there is one.
 *
 * Sending answers with the id that SES gave the mail, or with the reason why this mail will never get to this address.
 * Throws SendingThrottled when it may be sent later, and SendingFailed, with the cause, for anything else. A try whose
 * answer was lost is repeated, so that a mail may come twice, but is not lost.
 */
export function createSendEmail(
  { from, configurationSet }: { readonly from: string; readonly configurationSet?: string },
  client: Pick<SESv2Client, 'send'> = new SESv2Client(boundedClientConfig),
): SendEmail {
  return async (mail, to, { tags = {}, replyTo } = {}) => {
    const address = toPlainAddress(to);
    if (address === undefined) return { sent: false, because: 'It is not an address that mail can be sent to.' };
    const command = new SendEmailCommand({
      FromEmailAddress: from,
      // The bare address, without the name: nothing that a person typed gets into a header.
      Destination: { ToAddresses: [address] },
      ...(replyTo === undefined ? {} : { ReplyToAddresses: [replyTo] }),
      ...(configurationSet === undefined ? {} : { ConfigurationSetName: configurationSet }),
      EmailTags: Object.entries(tags).map(([Name, Value]) => ({ Name, Value: Value.replace(/[^\w-]/g, '_') })),
      Content: {
        Simple: {
          Subject: { Data: mail.subject, Charset: 'UTF-8' },
          Body: { Text: { Data: mail.text, Charset: 'UTF-8' }, Html: { Data: mail.html, Charset: 'UTF-8' } },
          // Both ask other machines not to answer: one by the standard (RFC 3834), one of Exchange's own.
          Headers: [
            { Name: 'Auto-Submitted', Value: 'auto-generated' },
            { Name: 'X-Auto-Response-Suppress', Value: 'All' },
          ],
        },
      },
    });
    try {
      const { MessageId } = await client.send(command);
      return { sent: true, messageId: MessageId ?? '' };
    } catch (error) {
      return sendResultOf(error, address);
    }
  };
}

/**
 * Sorts out what SES answered with instead. Only a refusal of this very mail is a value; when our own side is refused
 * (a sender that is not verified, a paused account, a malformed call), every mail would be, and somebody must hear of it.
 */
function sendResultOf(error: unknown, address: string): SendResult {
  if (error instanceof SESv2ServiceException) {
    if (isThrottling(error)) {
      throw new SendThrottledError('SES takes no more mails just now.', { cause: error });
    }
    const senderRefused =
      /not verified/i.test(error.message) && !error.message.toLowerCase().includes(address.toLowerCase());
    if (error.name === 'MessageRejected' && !senderRefused) {
      return { sent: false, because: `SES rejected it: ${error.message}` };
    }
  }
  throw new SendFailedError('The mail could not be handed over to SES.', { cause: error });
}

/** The sending rate or the daily quota is reached: the names that SES gives to that, now and in its older interface. */
function isThrottling({ name, $retryable, $metadata }: SESv2ServiceException): boolean {
  return (
    ['TooManyRequestsException', 'LimitExceededException', 'ThrottlingException', 'Throttling'].includes(name) ||
    $retryable?.throttling === true ||
    $metadata.httpStatusCode === 429
  );
}

const atom = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
const label = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?';
const plainAddress = new RegExp(
  `^(?=.{1,64}@)${atom}(?:\\.${atom})*@(?=.{1,253}$)(?:${label}\\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])$`,
);

/**
 * One bare address as SES takes it, `undefined` if it is none: SES reads `a@b.example, c@d.example` as two, and one it
 * cannot read fails the whole call. A domain in another script is written in its ASCII form; SES knows no such name
 * before the `@`.
 */
function toPlainAddress(to: string): string | undefined {
  const trimmed = to.trim();
  const at = trimmed.lastIndexOf('@');
  const domain = trimmed.slice(at + 1);
  const isDomainName = /^[\p{L}\p{M}\p{N}.-]+$/u.test(domain) && URL.canParse(`https://${domain}`);
  const address = `${trimmed.slice(0, at)}@${isDomainName ? new URL(`https://${domain}`).hostname : domain}`;
  return plainAddress.test(address) ? address : undefined;
}
