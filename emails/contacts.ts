import { sameEmail } from '../domain/agreement.ts';
import type { AgreementNotification, AgreementNotificationContent } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { isBefore } from '../domain/calendar/instant.ts';
import type { Policy } from '../domain/policy.ts';
import type { Block, Email, EmailContent } from './layout.ts';
import { layOutEmail, paragraph, quote } from './layout.ts';
import { amount, key, keySpelledOut, moment } from './phrases.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/** What a notice is written with, besides what it holds itself. */
export type AgreementEmailContext = {
  readonly now: Instant;
  readonly policy: Policy;
  /** Where readers can sign in and see the key; without it the letters name no such place. */
  readonly consoleUrl?: string;
};

type ContentOfKind<Is extends AgreementNotificationContent['kind']> = Extract<
  AgreementNotificationContent,
  { readonly kind: Is }
>;

/** Writes the letter of a notice: about an agreement or a key, and about no request (AGR-4, ALR-1, KMS-4, BLK-2). */
export function renderAgreementEmail(notification: AgreementNotification, context: AgreementEmailContext): Email {
  const content = contentOf(notification, context);
  return layOutEmail(content, say`Hello ${notification.to.name},`, say`agreement ${notification.agreementId}`);
}

function contentOf(notification: AgreementNotification, context: AgreementEmailContext): EmailContent {
  const { content: about } = notification;
  switch (about.kind) {
    case 'correspondent-changes':
      return correspondentChangesEmail(notification, about, context);
    case 'limit-used':
      return limitUsedEmail(notification, about, context);
    case 'kms-key-on-clients':
      return kmsKeyOnClientsEmail(notification, about, context);
    case 'key-replaced':
      return keyReplacedEmail(notification, about, context);
  }
}

/** To everybody whom it concerns at once: the one who leaves may be the only one who can see that it is not right (AGR-4). */
function correspondentChangesEmail(
  notification: AgreementNotification,
  { from, to, effectiveAt }: ContentOfKind<'correspondent-changes'>,
  { now, policy }: AgreementEmailContext,
): EmailContent {
  const reader = sameEmail(notification.to.email, to.email)
    ? 'successor'
    : sameEmail(notification.to.email, from.email)
      ? 'former'
      : 'contact';
  const isInEffect = !isBefore(now, effectiveAt);
  const headline =
    reader === 'successor'
      ? say`You ${isInEffect ? 'are now' : 'become'} the Notices Correspondent`
      : say`${to.name} ${isInEffect ? 'is now' : 'becomes'} the Notices Correspondent`;
  const effectiveTime = moment(effectiveAt, policy);
  const untilThen =
    reader === 'former' ? say`you are asked` : say`${from.name} ${reader === 'successor' ? 'is' : 'is still'} asked`;
  const timing = isInEffect
    ? say`It took effect on ${effectiveTime}.`
    : say`It takes effect on ${effectiveTime}. Until then ${untilThen}, and nothing else changes.`;
  const whoIsAsked =
    reader === 'successor' ? say`We ask you by e-mail` : say`We ask the Notices Correspondent by e-mail`;
  const correction = isInEffect
    ? say`If this is not right, phone the activation call centre now, on a number that you already have.`
    : say`If this is not right, phone the activation call centre before then, on a number that you already have: it can still be put right.`;
  return {
    subject: say`${headline} of ${notification.organizationName}`,
    preheader: sayAll([timing, say`If this is not right, please tell us.`]),
    title: headline,
    blocks: [
      paragraph(
        say`The Notices Correspondent of ${notification.organizationName}, agreement ${notification.agreementId}, ${isInEffect ? 'has changed' : 'changes'}. ${timing}`,
      ),
      {
        kind: 'details',
        rows: [
          { label: isInEffect ? say`Until then` : say`Now`, value: say`${from.name}, ${sayAddress(from.email)}` },
          { label: isInEffect ? say`Now` : say`From then on`, value: say`${to.name}, ${sayAddress(to.email)}` },
        ],
      },
      paragraph(
        say`${whoIsAsked} to approve or deny whatever would raise the limit of a key of this agreement beyond what a phone call can give. A question that ${isInEffect ? 'was' : 'is'} out when the change ${isInEffect ? 'took' : 'takes'} effect is asked again, and the links in earlier mails ${isInEffect ? 'no longer work' : 'stop working'}.`,
      ),
      paragraph(correction),
    ],
    because:
      reader === 'contact'
        ? becauseContact(notification)
        : say`You get this mail because you ${reader === 'successor' ? 'were named' : isInEffect ? 'were' : 'are'} the Notices Correspondent of ${notification.organizationName}, agreement ${notification.agreementId}.`,
  };
}

/** So much is used: how long the rest lasts, and what to do before it is gone (ALR-1, ALR-2). */
function limitUsedEmail(
  notification: AgreementNotification,
  content: ContentOfKind<'limit-used'>,
  context: AgreementEmailContext,
): EmailContent {
  const { keyType, percent, used, limit, forecast } = content;
  const { policy } = context;
  const available = Math.max(0, limit - used);
  const units = keyType === 'MAK' ? say`activations` : say`host places`;
  const share = available === 0 ? say`All ${units}` : say`${percent}% of the ${units}`;
  const consequence =
    keyType === 'MAK'
      ? say`A machine that has not activated with it yet is refused from now on. Those that have activated stay activated.`
      : say`A new host is refused from now on. Those that have activated go on working, and so do all machines that they serve.`;
  const keyName = key(content);
  const availableSentence = say`${available} ${available === 1 ? 'is' : 'are'} left.`;
  return {
    subject: say`${share} of your ${keyName} are used`,
    preheader: available === 0 ? consequence : say`${availableSentence} ${forecast ?? ''}`,
    title: say`${share} are used`,
    blocks: [
      paragraph(
        available === 0
          ? say`All ${limit} ${units} of your ${keyName} are used. ${consequence}`
          : say`${used} of the ${limit} ${units} of your ${keyName} are used; ${availableSentence}`,
      ),
      ...(forecast === null ? [] : [paragraph(say`${forecast}`)]),
      {
        kind: 'details',
        rows: [
          ...organizationRows(notification),
          { label: say`Key`, value: keySpelledOut(content) },
          { label: say`Used`, value: amount(used, content) },
          { label: say`Left`, value: amount(available, content) },
          { label: say`Limit`, value: amount(limit, content) },
        ],
      },
      paragraph(available === 0 ? say`To get more:` : say`If you will need more, please ask before they run out:`),
      {
        kind: 'list',
        items: [
          {
            label: say`By phone`,
            value:
              keyType === 'MAK'
                ? say`the activation call centre can raise the limit during the call, up to ${multiple(policy.callCenter.increaseUpToTimesOriginal)} what the key was issued with.`
                : say`the activation call centre can give one host one more activation a day, up to ${policy.callCenter.overridesPerKey} for each key.`,
          },
          {
            label: say`By a ${keyType === 'MAK' ? 'MAKADD' : 'KMSADD'} request`,
            value: say`${keyType === 'MAK' ? 'for more than that' : 'for more host places'}. It is answered within ${policy.exceptions.answerWithinBusinessDays} business days, and your Notices Correspondent has to approve it.`,
          },
        ],
      },
      ...keyAction(context),
    ],
    because: say`${becauseContact(notification)} We write once at ${percentList(policy)} of a limit.`,
  };
}

function multiple(count: number): Sentence {
  return count === 2 ? say`twice` : say`${count} times`;
}

function percentList({ alerts: { usedPercent } }: Policy): Sentence {
  const percentages = usedPercent.map((percent) => `${percent}%`);
  const lastPercentage = percentages.pop() ?? '';
  return percentages.length === 0 ? say`${lastPercentage}` : say`${percentages.join(', ')} and ${lastPercentage}`;
}

/** A KMS key on clients is spent in days, and nobody there would see why (KMS-4). */
function kmsKeyOnClientsEmail(
  notification: AgreementNotification,
  { lastFive, hosts, withinHours }: ContentOfKind<'kms-key-on-clients'>,
  context: AgreementEmailContext,
): EmailContent {
  const keyName = key({ keyType: 'KMS', lastFive });
  return {
    subject: say`Is your ${keyName} typed on clients?`,
    preheader: say`${hosts} new hosts activated with it within ${withinHours} hours. It belongs on KMS hosts only.`,
    title: say`A KMS key belongs on KMS hosts only`,
    blocks: [
      paragraph(
        say`${hosts} new hosts activated with your ${keyName} within ${withinHours} hours. That is unusual: it looks as if the key was typed on client computers.`,
      ),
      paragraph(
        say`A KMS key belongs on KMS hosts only. Each computer on which it is typed takes one of the few places for hosts, and a host that you need later finds none. Clients need no key of their own: they find a KMS host in your network and activate with it by themselves.`,
      ),
      {
        kind: 'details',
        rows: [
          ...organizationRows(notification),
          { label: say`Key`, value: keySpelledOut({ keyType: 'KMS', lastFive }) },
        ],
      },
      paragraph(say`Please look at the hosts of the key:`),
      {
        kind: 'list',
        items: [
          { label: say`They are KMS hosts`, value: say`then all is well, and nothing is needed from you.` },
          {
            label: say`They are clients`,
            value: say`please type the key on no further one, and give them back the key with which they were set up.`,
          },
          {
            label: say`You do not know them`,
            value: say`then somebody else may have the key. You can have it blocked and a new one assigned.`,
          },
        ],
      },
      ...keyAction(context, say`See the hosts`),
    ],
    because: becauseContact(notification),
  };
}

/** The old key is blocked: what has to be done to the machines, and until when (BLK-2, BLK-3, VAL-1). */
function keyReplacedEmail(
  notification: AgreementNotification,
  content: ContentOfKind<'key-replaced'>,
  context: AgreementEmailContext,
): EmailContent {
  const { keyType, blockedLastFive, issuedLastFive, reason } = content;
  const blockedKey = key({ keyType, lastFive: blockedLastFive });
  const { graceDays } = context.policy.validation;
  const machineNoun = keyType === 'MAK' ? say`machine` : say`KMS host`;
  return {
    subject: say`Your ${blockedKey} was replaced`,
    preheader: say`The new one ends in ${issuedLastFive}. Please activate your ${machineNoun}s with it.`,
    title: say`Your key was replaced`,
    blocks: [
      paragraph(
        say`Your ${blockedKey} is blocked, and nothing can be activated with it any more. A new one, ending in ${issuedLastFive}, was issued in its place. It starts with the standard limit.`,
      ),
      quote(say`The reason given:`, reason),
      {
        kind: 'details',
        rows: [
          ...organizationRows(notification),
          { label: say`Blocked`, value: keySpelledOut({ keyType, lastFive: blockedLastFive }) },
          { label: say`In its place`, value: keySpelledOut({ keyType, lastFive: issuedLastFive }) },
        ],
      },
      paragraph(
        say`What to do: sign in, have the new key shown to you, and activate with it every ${machineNoun} that used the old one. The old key shows which are still on it; each drops off as it activates with the new one.`,
      ),
      paragraph(
        say`What was activated with the old key counts as genuine for ${graceDays} ${graceDays === 1 ? 'day' : 'days'} after it was blocked, and not any longer.`,
      ),
      paragraph(
        say`If nobody of yours asked for this, phone the activation call centre, on a number that you already have.`,
      ),
      ...keyAction(context, say`See the keys`),
    ],
    because: becauseContact(notification),
  };
}

function organizationRows({ organizationName, agreementId }: AgreementNotification) {
  return [{ label: say`Organization`, value: say`${organizationName}, agreement ${agreementId}` }];
}

function keyAction({ consoleUrl }: AgreementEmailContext, label = say`See the key`): readonly Block[] {
  return consoleUrl === undefined ? [] : [{ kind: 'action', label, url: consoleUrl, showUrl: false }];
}

function becauseContact({ organizationName, agreementId }: AgreementNotification): Sentence {
  return say`You get this mail because you are on the Authorized Contact List of ${organizationName}, agreement ${agreementId}.`;
}
