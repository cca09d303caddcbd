import type { SESv2ClientConfig } from '@aws-sdk/client-sesv2';
import { SESv2Client, SESv2ServiceException, SendEmailCommand } from '@aws-sdk/client-sesv2';
import type { Email } from './layout.ts';

/** The result of sending an email. `sent: false` is permanent: no retry would deliver this email to this address. */
export type SendResult =
  | { readonly sent: true; readonly messageId: string }
  | { readonly sent: false; readonly because: string };

/** A contention: the account has reached its sending limit. The same email can be sent later. */
export class SendThrottledError extends Error {
  override readonly name = 'SendThrottledError';
}

/**
 * A fault: the email may or may not have been sent, or the service is not set up correctly. The cause has the details.
 */
export class SendFailedError extends Error {
  override readonly name = 'SendFailedError';
}

export type SendEmail = (email: Email, to: string, options?: SendOptions) => Promise<SendResult>;

type SendOptions = {
  /** Tags for the sending statistics, such as `{ kind: 'approval-requested' }`. Never a person or a secret. */
  readonly tags?: Readonly<Record<string, string>>;
  /** The address for replies, if the email asks for one (EXC-14). */
  readonly replyTo?: string;
};

/**
 * SES accepts an email in well under a second. A notification is claimed while its email is sent, and another sender
 * may take it over when the claim ends, so sending must end long before that. At most three tries of five seconds, with
 * the pauses between them, take 20 seconds. Three tries are enough for a burst above the sending rate; the sweep
 * retries anything that takes longer.
 */
const boundedClientConfig: SESv2ClientConfig = {
  maxAttempts: 3,
  requestHandler: { connectionTimeout: 1_000, requestTimeout: 5_000, throwOnRequestTimeout: true },
};

/**
 * Creates the function that sends emails through SES, from one address (`from`, which may have a name before it in
 * `<>`) and with a configuration set, if there is one, that counts them.
 *
 * The function returns the message id from SES, or the reason why this email can never be delivered to this address.
 * Throws SendThrottledError if the email can be sent later, and SendFailedError with the cause for anything else. A try
 * whose response is lost is repeated, so that an email may arrive twice but is never lost.
 */
export function createSendEmail(
  { from, configurationSet }: { readonly from: string; readonly configurationSet?: string },
  client: Pick<SESv2Client, 'send'> = new SESv2Client(boundedClientConfig),
): SendEmail {
  return async (email, to, { tags = {}, replyTo } = {}) => {
    const address = toPlainAddress(to);
    if (address === undefined) return { sent: false, because: 'The address is not a valid email address.' };
    const command = new SendEmailCommand({
      FromEmailAddress: from,
      // Only the address without the name, so that nothing a person typed gets into a header.
      Destination: { ToAddresses: [address] },
      ...(replyTo === undefined ? {} : { ReplyToAddresses: [replyTo] }),
      ...(configurationSet === undefined ? {} : { ConfigurationSetName: configurationSet }),
      EmailTags: Object.entries(tags).map(([Name, Value]) => ({ Name, Value: Value.replace(/[^\w-]/g, '_') })),
      Content: {
        Simple: {
          Subject: { Data: email.subject, Charset: 'UTF-8' },
          Body: { Text: { Data: email.text, Charset: 'UTF-8' }, Html: { Data: email.html, Charset: 'UTF-8' } },
          // Both ask other systems not to reply automatically: the first is RFC 3834, the second is for Exchange.
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
 * Maps an SES error to a result, or throws. Only a refusal of this email is a result. If the service itself is refused
 * (a sender that is not verified, a paused account, a malformed call), every email would be, and an operator must know.
 */
function sendResultOf(error: unknown, address: string): SendResult {
  if (error instanceof SESv2ServiceException) {
    if (isThrottling(error)) {
      throw new SendThrottledError('SES is throttling this account.', { cause: error });
    }
    const senderRefused =
      /not verified/i.test(error.message) && !error.message.toLowerCase().includes(address.toLowerCase());
    if (error.name === 'MessageRejected' && !senderRefused) {
      return { sent: false, because: `SES rejected the email: ${error.message}` };
    }
  }
  throw new SendFailedError('The email could not be passed to SES.', { cause: error });
}

/**
 * Returns whether the sending rate or the daily quota is reached, by the error names of SES v2 and of the older API.
 */
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
 * Returns the one plain address that SES accepts, or `undefined`. SES reads `a@b.example, c@d.example` as two
 * addresses, and an address that it cannot parse fails the entire call. A domain in another script is returned in its
 * ASCII form; SES has no such form for the part before the `@`.
 */
function toPlainAddress(to: string): string | undefined {
  const trimmed = to.trim();
  const at = trimmed.lastIndexOf('@');
  const domain = trimmed.slice(at + 1);
  const isDomainName = /^[\p{L}\p{M}\p{N}.-]+$/u.test(domain) && URL.canParse(`https://${domain}`);
  const address = `${trimmed.slice(0, at)}@${isDomainName ? new URL(`https://${domain}`).hostname : domain}`;
  return plainAddress.test(address) ? address : undefined;
}
