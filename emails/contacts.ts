import { sameEmail } from '../domain/agreement.ts';
import type { Notice, NoticeAbout } from '../domain/agreement-notification.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { isBefore } from '../domain/calendar/instant.ts';
import type { Policy } from '../domain/policy.ts';
import type { Block, Content, Mail } from './layout.ts';
import { layOut, paragraph, quote } from './layout.ts';
import { amount, key, keyInWords, moment } from './phrases.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress, sayAll } from './say.ts';

/** What a notice is written with, besides what it holds itself. */
export type NoticeFacts = {
  readonly now: Instant;
  readonly policy: Policy;
  /** Where readers can sign in and see the key; without it the letters name no such place. */
  readonly consoleUrl?: string;
};

type About<Is extends NoticeAbout['is']> = Extract<NoticeAbout, { readonly is: Is }>;

/** Writes the letter of a notice: about an agreement or a key, and about no request (AGR-4, ALR-1, KMS-4, BLK-2). */
export function composeNotice(notice: Notice, facts: NoticeFacts): Mail {
  const content = contentOf(notice, facts);
  return layOut(content, say`Hello ${notice.to.name},`, say`agreement ${notice.agreementId}`);
}

function contentOf(notice: Notice, facts: NoticeFacts): Content {
  const { about } = notice;
  switch (about.is) {
    case 'correspondent-changes':
      return correspondentChanges(notice, about, facts);
    case 'limit-used':
      return limitUsed(notice, about, facts);
    case 'kms-key-on-clients':
      return kmsKeyOnClients(notice, about, facts);
    case 'key-replaced':
      return keyReplaced(notice, about, facts);
  }
}

/** To everybody whom it concerns at once: the one who leaves may be the only one who can see that it is not right (AGR-4). */
function correspondentChanges(
  notice: Notice,
  { from, to, effectiveAt }: About<'correspondent-changes'>,
  { now, policy }: NoticeFacts,
): Content {
  const reader = sameEmail(notice.to.email, to.email)
    ? 'successor'
    : sameEmail(notice.to.email, from.email)
      ? 'former'
      : 'contact';
  const happened = !isBefore(now, effectiveAt);
  const becomes =
    reader === 'successor'
      ? say`You ${happened ? 'are now' : 'become'} the Notices Correspondent`
      : say`${to.name} ${happened ? 'is now' : 'becomes'} the Notices Correspondent`;
  const since = moment(effectiveAt, policy);
  const before =
    reader === 'former' ? say`you are asked` : say`${from.name} ${reader === 'successor' ? 'is' : 'is still'} asked`;
  const when = happened
    ? say`It took effect on ${since}.`
    : say`It takes effect on ${since}. Until then ${before}, and nothing else changes.`;
  const does = reader === 'successor' ? say`We ask you by e-mail` : say`We ask the Notices Correspondent by e-mail`;
  const undo = happened
    ? say`If this is not right, phone the activation call centre now, on a number that you already have.`
    : say`If this is not right, phone the activation call centre before then, on a number that you already have: it can still be put right.`;
  return {
    subject: say`${becomes} of ${notice.organizationName}`,
    preheader: sayAll([when, say`If this is not right, please tell us.`]),
    title: becomes,
    blocks: [
      paragraph(
        say`The Notices Correspondent of ${notice.organizationName}, agreement ${notice.agreementId}, ${happened ? 'has changed' : 'changes'}. ${when}`,
      ),
      {
        is: 'facts',
        rows: [
          { label: happened ? say`Until then` : say`Now`, value: say`${from.name}, ${sayAddress(from.email)}` },
          { label: happened ? say`Now` : say`From then on`, value: say`${to.name}, ${sayAddress(to.email)}` },
        ],
      },
      paragraph(
        say`${does} to approve or deny whatever would raise the limit of a key of this agreement beyond what a phone call can give. A question that ${happened ? 'was' : 'is'} out when the change ${happened ? 'took' : 'takes'} effect is asked again, and the links in earlier mails ${happened ? 'no longer work' : 'stop working'}.`,
      ),
      paragraph(undo),
    ],
    because:
      reader === 'contact'
        ? becauseContact(notice)
        : say`You get this mail because you ${reader === 'successor' ? 'were named' : happened ? 'were' : 'are'} the Notices Correspondent of ${notice.organizationName}, agreement ${notice.agreementId}.`,
  };
}

/** So much is used: how long the rest lasts, and what to do before it is gone (ALR-1, ALR-2). */
function limitUsed(notice: Notice, about: About<'limit-used'>, facts: NoticeFacts): Content {
  const { keyType, percent, used, limit, forecast } = about;
  const { policy } = facts;
  const left = Math.max(0, limit - used);
  const units = keyType === 'MAK' ? say`activations` : say`host places`;
  const share = left === 0 ? say`All ${units}` : say`${percent}% of the ${units}`;
  const refused =
    keyType === 'MAK'
      ? say`A machine that has not activated with it yet is refused from now on. Those that have activated stay activated.`
      : say`A new host is refused from now on. Those that have activated go on working, and so do all machines that they serve.`;
  const theKey = key(about);
  const leftOver = say`${left} ${left === 1 ? 'is' : 'are'} left.`;
  return {
    subject: say`${share} of your ${theKey} are used`,
    preheader: left === 0 ? refused : say`${leftOver} ${forecast ?? ''}`,
    title: say`${share} are used`,
    blocks: [
      paragraph(
        left === 0
          ? say`All ${limit} ${units} of your ${theKey} are used. ${refused}`
          : say`${used} of the ${limit} ${units} of your ${theKey} are used; ${leftOver}`,
      ),
      ...(forecast === null ? [] : [paragraph(say`${forecast}`)]),
      {
        is: 'facts',
        rows: [
          ...whose(notice),
          { label: say`Key`, value: keyInWords(about) },
          { label: say`Used`, value: amount(used, about) },
          { label: say`Left`, value: amount(left, about) },
          { label: say`Limit`, value: amount(limit, about) },
        ],
      },
      paragraph(left === 0 ? say`To get more:` : say`If you will need more, please ask before they run out:`),
      {
        is: 'list',
        items: [
          {
            label: say`By phone`,
            value:
              keyType === 'MAK'
                ? say`the activation call centre can raise the limit during the call, up to ${times(policy.callCenter.increaseUpToTimesOriginal)} what the key was issued with.`
                : say`the activation call centre can give one host one more activation a day, up to ${policy.callCenter.overridesPerKey} for each key.`,
          },
          {
            label: say`By a ${keyType === 'MAK' ? 'MAKADD' : 'KMSADD'} request`,
            value: say`${keyType === 'MAK' ? 'for more than that' : 'for more host places'}. It is answered within ${policy.exceptions.answerWithinBusinessDays} business days, and your Notices Correspondent has to approve it.`,
          },
        ],
      },
      ...seeTheKey(facts),
    ],
    because: say`${becauseContact(notice)} We write once at ${percents(policy)} of a limit.`,
  };
}

function times(count: number): Sentence {
  return count === 2 ? say`twice` : say`${count} times`;
}

function percents({ alerts: { usedPercent } }: Policy): Sentence {
  const named = usedPercent.map((percent) => `${percent}%`);
  const last = named.pop() ?? '';
  return named.length === 0 ? say`${last}` : say`${named.join(', ')} and ${last}`;
}

/** A KMS key on clients is spent in days, and nobody there would see why (KMS-4). */
function kmsKeyOnClients(
  notice: Notice,
  { lastFive, hosts, withinHours }: About<'kms-key-on-clients'>,
  facts: NoticeFacts,
): Content {
  const theKey = key({ keyType: 'KMS', lastFive });
  return {
    subject: say`Is your ${theKey} typed on clients?`,
    preheader: say`${hosts} new hosts activated with it within ${withinHours} hours. It belongs on KMS hosts only.`,
    title: say`A KMS key belongs on KMS hosts only`,
    blocks: [
      paragraph(
        say`${hosts} new hosts activated with your ${theKey} within ${withinHours} hours. That is unusual: it looks as if the key was typed on client computers.`,
      ),
      paragraph(
        say`A KMS key belongs on KMS hosts only. Each computer on which it is typed takes one of the few places for hosts, and a host that you need later finds none. Clients need no key of their own: they find a KMS host in your network and activate with it by themselves.`,
      ),
      { is: 'facts', rows: [...whose(notice), { label: say`Key`, value: keyInWords({ keyType: 'KMS', lastFive }) }] },
      paragraph(say`Please look at the hosts of the key:`),
      {
        is: 'list',
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
      ...seeTheKey(facts, say`See the hosts`),
    ],
    because: becauseContact(notice),
  };
}

/** The old key is blocked: what has to be done to the machines, and until when (BLK-2, BLK-3, VAL-1). */
function keyReplaced(notice: Notice, about: About<'key-replaced'>, facts: NoticeFacts): Content {
  const { keyType, blockedLastFive, issuedLastFive, reason } = about;
  const blocked = key({ keyType, lastFive: blockedLastFive });
  const { graceDays } = facts.policy.validation;
  const machines = keyType === 'MAK' ? say`machine` : say`KMS host`;
  return {
    subject: say`Your ${blocked} was replaced`,
    preheader: say`The new one ends in ${issuedLastFive}. Please activate your ${machines}s with it.`,
    title: say`Your key was replaced`,
    blocks: [
      paragraph(
        say`Your ${blocked} is blocked, and nothing can be activated with it any more. A new one, ending in ${issuedLastFive}, was issued in its place. It starts with the standard limit.`,
      ),
      quote(say`The reason given:`, reason),
      {
        is: 'facts',
        rows: [
          ...whose(notice),
          { label: say`Blocked`, value: keyInWords({ keyType, lastFive: blockedLastFive }) },
          { label: say`In its place`, value: keyInWords({ keyType, lastFive: issuedLastFive }) },
        ],
      },
      paragraph(
        say`What to do: sign in, have the new key shown to you, and activate with it every ${machines} that used the old one. The old key shows which are still on it; each drops off as it activates with the new one.`,
      ),
      paragraph(
        say`What was activated with the old key counts as genuine for ${graceDays} ${graceDays === 1 ? 'day' : 'days'} after it was blocked, and not any longer.`,
      ),
      paragraph(
        say`If nobody of yours asked for this, phone the activation call centre, on a number that you already have.`,
      ),
      ...seeTheKey(facts, say`See the keys`),
    ],
    because: becauseContact(notice),
  };
}

function whose({ organizationName, agreementId }: Notice) {
  return [{ label: say`Organization`, value: say`${organizationName}, agreement ${agreementId}` }];
}

function seeTheKey({ consoleUrl }: NoticeFacts, label = say`See the key`): readonly Block[] {
  return consoleUrl === undefined ? [] : [{ is: 'action', label, url: consoleUrl, shown: false }];
}

function becauseContact({ organizationName, agreementId }: Notice): Sentence {
  return say`You get this mail because you are on the Authorized Contact List of ${organizationName}, agreement ${agreementId}.`;
}
