import type { SendEmail } from '../../emails/send.ts';
import { createSendEmail } from '../../emails/send.ts';
import type { MailEnvironment } from '../environment.ts';
import { mailEnvironment } from '../environment.ts';

/** How this function mails: the door to SES, and the addresses that are the service's own. */
export type Mailer = { readonly send: SendEmail; readonly addresses: MailEnvironment };

let cachedMailer: Mailer | undefined;

/** The way this function mails, made at its first use and kept while it is warm. */
export function getMailer(): Mailer {
  cachedMailer ??= buildMailer(mailEnvironment());
  return cachedMailer;
}

function buildMailer(addresses: MailEnvironment): Mailer {
  const { MAIL_FROM: from, MAIL_CONFIGURATION_SET: configurationSet } = addresses;
  return { send: createSendEmail(configurationSet === undefined ? { from } : { from, configurationSet }), addresses };
}
