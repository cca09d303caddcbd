import type { SendMail } from '../../emails/send.ts';
import { makeSendMail } from '../../emails/send.ts';
import type { MailEnvironment } from '../environment.ts';
import { mailEnvironment } from '../environment.ts';

/** How this function mails: the door to SES, and the addresses that are the service's own. */
export type Mailing = { readonly send: SendMail; readonly addresses: MailEnvironment };

let made: Mailing | undefined;

/** The way this function mails, made at its first use and kept while it is warm. */
export function theMail(): Mailing {
  made ??= makeMailing(mailEnvironment());
  return made;
}

function makeMailing(addresses: MailEnvironment): Mailing {
  const { MAIL_FROM: from, MAIL_CONFIGURATION_SET: configurationSet } = addresses;
  return { send: makeSendMail(configurationSet === undefined ? { from } : { from, configurationSet }), addresses };
}
