import type { SendEmail } from '../../emails/send.ts';
import { createSendEmail } from '../../emails/send.ts';
import type { MailEnvironment } from '../environment.ts';
import { mailEnvironment } from '../environment.ts';

/** The client for SES, and the service's own addresses. */
export type Mailer = { readonly send: SendEmail; readonly addresses: MailEnvironment };

let cachedMailer: Mailer | undefined;

/** Returns the mailer of this function. It is created on first use and reused while the function is warm. */
export function getMailer(): Mailer {
  cachedMailer ??= buildMailer(mailEnvironment());
  return cachedMailer;
}

function buildMailer(addresses: MailEnvironment): Mailer {
  const { MAIL_FROM: from, MAIL_CONFIGURATION_SET: configurationSet } = addresses;
  return { send: createSendEmail(configurationSet === undefined ? { from } : { from, configurationSet }), addresses };
}
