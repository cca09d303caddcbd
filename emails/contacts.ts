import { sameEmail } from '../domain/agreement.ts';
import type { AgreementNotification, AgreementNotificationContent } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { isBefore } from '../domain/calendar/instant.ts';
import type { Policy } from '../domain/policy.ts';
import type { Block, Email, EmailContent, Row } from './layout.ts';
import { layOutEmail, paragraph, quote } from './layout.ts';
import { amount, key, keySpelledOut, moment } from './phrases.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/** The context of an email about an agreement or a key, in addition to its content. */
export type AgreementEmailContext = {
  readonly now: Instant;
  readonly policy: Policy;
  /** The address of the console, where readers sign in and see the key. Without it, emails have no link to it. */
  readonly consoleUrl?: string;
};

type ContentOfKind<Kind extends AgreementNotificationContent['kind']> = Extract<
  AgreementNotificationContent,
  { readonly kind: Kind }
>;

/**
 * Renders the email of an agreement notification: about an agreement or a key, not a request (AGR-4, ALR-1, KMS-4,
 * BLK-2).
 */
export function renderAgreementEmail(notification: AgreementNotification, context: AgreementEmailContext): Email {
  const emailContent = emailContentOf(notification, context);
  return layOutEmail(emailContent, say`Hello ${notification.to.name},`, say`agreement ${notification.agreementId}`);
}

function emailContentOf(notification: AgreementNotification, context: AgreementEmailContext): EmailContent {
  const { content } = notification;
  switch (content.kind) {
    case 'correspondent-changes':
      return correspondentChangesEmail(notification, content, context);
    case 'limit-used':
      return limitUsedEmail(notification, content, context);
    case 'kms-key-on-clients':
      return kmsKeyOnClientsEmail(notification, content, context);
    case 'key-replaced':
      return keyReplacedEmail(notification, content, context);
  }
}

/**
 * Announces a new Notices Correspondent to everybody concerned. The former one gets it too: they may be the only person
 * who can tell that the change is not right (AGR-4).
 */
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
  const untilThen =
    reader === 'former'
      ? say`you still receive the approval requests`
      : say`${from.name} still receives the approval requests`;
  const timing = isInEffect
    ? say`The change took effect on ${moment(effectiveAt, policy)}.`
    : say`The change takes effect on ${moment(effectiveAt, policy)}. Until then, ${untilThen}, and nothing else changes.`;
  const openRequests = isInEffect
    ? say`We have sent any approval request that was open at that time again. The links in earlier emails no longer work.`
    : say`When the change takes effect, we send any open approval request again, and the links in earlier emails stop working.`;
  const correction = isInEffect
    ? say`If this change is not right, call the activation call center now on a phone number that you already have, and ask for a licensing administrator.`
    : say`If this change is not right, call the activation call center before then on a phone number that you already have, and ask for a licensing administrator. The change can still be undone.`;
  return {
    subject: say`${headline} of ${notification.organizationName}`,
    preheader: sayAll([timing, say`If this is not right, tell us.`]),
    title: headline,
    blocks: [
      paragraph(
        say`The Notices Correspondent of ${notification.organizationName}, agreement ${notification.agreementId}, ${isInEffect ? 'has changed' : 'is changing'}. ${timing}`,
      ),
      {
        kind: 'details',
        rows: [
          {
            label: isInEffect ? say`Previous Correspondent` : say`Current Correspondent`,
            value: say`${from.name}, ${sayAddress(from.email)}`,
          },
          {
            label: isInEffect ? say`Current Correspondent` : say`New Correspondent`,
            value: say`${to.name}, ${sayAddress(to.email)}`,
          },
        ],
      },
      paragraph(
        say`We ask ${reader === 'successor' ? 'you' : 'the Notices Correspondent'} by email to approve or deny any request that would raise the limit of a key in this agreement beyond what the call center can grant. ${openRequests}`,
      ),
      paragraph(correction),
    ],
    because:
      reader === 'contact'
        ? becauseContact(notification)
        : say`You are receiving this email because you ${reader === 'successor' ? 'were named' : isInEffect ? 'were' : 'are'} the Notices Correspondent of ${notification.organizationName}, agreement ${notification.agreementId}.`,
  };
}

/** Reports how much of a limit is used, how long the rest lasts, and what to do before it is used up (ALR-1, ALR-2). */
function limitUsedEmail(
  notification: AgreementNotification,
  content: ContentOfKind<'limit-used'>,
  context: AgreementEmailContext,
): EmailContent {
  const { keyType, percent, used, limit, forecast } = content;
  const { policy } = context;
  const remaining = Math.max(0, limit - used);
  const units = keyType === 'MAK' ? say`activations` : say`host slots`;
  const share = remaining === 0 ? say`All ${units}` : say`${percent}% of the ${units}`;
  const consequence =
    keyType === 'MAK'
      ? say`A computer that has not activated with this key yet can no longer do so. Computers that have already activated are not affected.`
      : say`A new host can no longer activate with this key. Hosts that have already activated keep working, and so do the computers that they activate.`;
  const keyName = key(content);
  const remainingSentence = say`${remaining} ${remaining === 1 ? 'is' : 'are'} left.`;
  return {
    subject: say`${share} of your ${keyName} are used`,
    preheader: remaining === 0 ? consequence : say`${remainingSentence} ${forecast ?? ''}`,
    title: say`${share} are used`,
    blocks: [
      paragraph(
        remaining === 0
          ? say`All ${limit} ${units} of your ${keyName} are used. ${consequence}`
          : say`${used} of the ${limit} ${units} of your ${keyName} are used; ${remainingSentence}`,
      ),
      ...(forecast === null ? [] : [paragraph(say`${forecast}`)]),
      {
        kind: 'details',
        rows: [
          ...organizationRows(notification),
          { label: say`Product key`, value: keySpelledOut(content) },
          { label: say`Used`, value: amount(used, content) },
          { label: say`Remaining`, value: amount(remaining, content) },
          { label: say`Limit`, value: amount(limit, content) },
        ],
      },
      paragraph(
        remaining === 0 ? say`To get more:` : say`If you need more, request an increase before the key runs out:`,
      ),
      {
        kind: 'list',
        items: [
          {
            label: say`By phone`,
            value:
              keyType === 'MAK'
                ? say`The activation call center can raise the limit during the call, up to ${multiple(policy.callCenter.increaseUpToTimesOriginal)} the original limit.`
                : say`The activation call center can give one host one more activation a day, up to ${policy.callCenter.overridesPerKey} for each key.`,
          },
          {
            label: say`By a ${keyType === 'MAK' ? 'MAKADD' : 'KMSADD'} request`,
            value: say`${keyType === 'MAK' ? 'For a higher limit' : 'For more host slots'}. We respond within ${policy.exceptions.answerWithinBusinessDays} business days, and your Notices Correspondent must approve the request.`,
          },
        ],
      },
      ...keyAction(context),
    ],
    because: say`${becauseContact(notification)} We send this alert once at ${percentList(policy)} of a limit.`,
  };
}

function multiple(count: number): Sentence {
  return count === 2 ? say`twice` : say`${count} times`;
}

function percentList({ alerts: { usedPercent } }: Policy): Sentence {
  const percentages = usedPercent.map((percent) => `${percent}%`);
  const lastPercentage = percentages.pop() ?? '';
  return percentages.length === 0
    ? say`${lastPercentage}`
    : say`${percentages.join(', ')}${percentages.length > 1 ? ',' : ''} and ${lastPercentage}`;
}

/** Warns that a KMS key seems to be used on client computers, which would use up its hosts in days (KMS-4). */
function kmsKeyOnClientsEmail(
  notification: AgreementNotification,
  { lastFive, hosts, withinHours }: ContentOfKind<'kms-key-on-clients'>,
  context: AgreementEmailContext,
): EmailContent {
  const keyName = key({ keyType: 'KMS', lastFive });
  return {
    subject: say`Is your ${keyName} being used on client computers?`,
    preheader: say`${hosts} new hosts activated with it within ${withinHours} hours. Use a KMS key on KMS hosts only.`,
    title: say`Use a KMS key on KMS hosts only`,
    blocks: [
      paragraph(
        say`${hosts} new hosts activated with your ${keyName} within ${withinHours} hours. This is unusual and suggests that the key was entered on client computers.`,
      ),
      paragraph(
        say`A KMS key belongs on KMS hosts only. Each computer that activates with it uses one of its few host slots, and hosts that you set up later may be refused. Client computers do not need this key: they find a KMS host on your network and activate with it automatically.`,
      ),
      {
        kind: 'details',
        rows: [
          ...organizationRows(notification),
          { label: say`Product key`, value: keySpelledOut({ keyType: 'KMS', lastFive }) },
        ],
      },
      paragraph(say`Check the hosts of this key:`),
      {
        kind: 'list',
        items: [
          { label: say`They are KMS hosts`, value: say`You do not need to do anything.` },
          {
            label: say`They are client computers`,
            value: say`Do not enter this key on any more computers, and restore the original setup key (GVLK) on these.`,
          },
          {
            label: say`You do not recognize them`,
            value: say`Someone else may have the key. You can have it blocked and replaced with a new one.`,
          },
        ],
      },
      ...keyAction(context, say`View the hosts`),
    ],
    because: becauseContact(notification),
  };
}

/** Announces that a key is blocked: which key replaces it, what to do, and by when (BLK-2, BLK-3, VAL-1). */
function keyReplacedEmail(
  notification: AgreementNotification,
  content: ContentOfKind<'key-replaced'>,
  context: AgreementEmailContext,
): EmailContent {
  const { keyType, blockedLastFive, issuedLastFive, reason } = content;
  const blockedKey = key({ keyType, lastFive: blockedLastFive });
  const { graceDays } = context.policy.validation;
  const machineNoun = keyType === 'MAK' ? say`computer` : say`KMS host`;
  return {
    subject: say`Your ${blockedKey} was replaced`,
    preheader: say`The new key ends in ${issuedLastFive}. Activate your ${machineNoun}s with it.`,
    title: say`Your key was replaced`,
    blocks: [
      paragraph(
        say`Your ${blockedKey} is blocked and can no longer activate anything. We issued a new key ending in ${issuedLastFive} to replace it. The new key starts with the standard limit.`,
      ),
      quote(say`Reason:`, reason),
      {
        kind: 'details',
        rows: [
          ...organizationRows(notification),
          { label: say`Blocked key`, value: keySpelledOut({ keyType, lastFive: blockedLastFive }) },
          { label: say`New key`, value: keySpelledOut({ keyType, lastFive: issuedLastFive }) },
        ],
      },
      paragraph(
        say`What to do: reveal the new key, and activate every ${machineNoun} that used the old key with it. The old key lists the ${machineNoun}s that still use it. A ${machineNoun} leaves the list when it activates with the new key.`,
      ),
      paragraph(
        say`Every ${machineNoun} that was activated with the old key counts as genuine for ${graceDays} ${graceDays === 1 ? 'day' : 'days'} after the key was blocked, but no longer than that.`,
      ),
      paragraph(
        say`If no one in your organization requested this, call the activation call center on a phone number that you already have.`,
      ),
      ...keyAction(context, say`View the keys`),
    ],
    because: becauseContact(notification),
  };
}

function organizationRows({ organizationName, agreementId }: AgreementNotification): readonly Row[] {
  return [{ label: say`Organization`, value: say`${organizationName}, agreement ${agreementId}` }];
}

function keyAction({ consoleUrl }: AgreementEmailContext, label = say`View the key`): readonly Block[] {
  return consoleUrl === undefined ? [] : [{ kind: 'action', label, url: consoleUrl, showUrl: false }];
}

function becauseContact({ organizationName, agreementId }: AgreementNotification): Sentence {
  return say`You are receiving this email because you are on the Authorized Contact List of ${organizationName}, agreement ${agreementId}.`;
}
