import type { CivilDate, Instant } from '../domain/calendar/instant.ts';
import { isBefore } from '../domain/calendar/instant.ts';
import { remainingMinutes } from '../domain/exceptions/sla-clock.ts';
import type { Policy } from '../domain/policy.ts';
import { formatDay, formatInstant } from './dates.ts';
import type { EmailContext } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

/** Returns a time in the zone of the support team: `Monday 8 June 2026, 17:00 Pacific Time (UTC−7)`. */
export function moment(at: Instant, { supportCalendar: { zone } }: Policy): Sentence {
  const { day, time } = formatInstant(at, zone);
  return say`${day}, ${time}`;
}

/** Returns a day of the calendar: `Friday 12 June 2026`. */
export function day(date: CivilDate): Sentence {
  return say`${formatDay(date)}`;
}

/**
 * Returns business minutes in words: `2 business days and 3 hours`, `45 business minutes`. A business day is as long as
 * the support team is open. `minutes` is zero (`0 minutes`) or more.
 */
export function businessTime(minutes: number, { supportCalendar: { opensAt, closesAt } }: Policy): Sentence {
  const dayLength = minuteOfDay(closesAt) - minuteOfDay(opensAt);
  const parts = [
    { count: Math.floor(minutes / dayLength), unit: 'day' },
    { count: Math.floor((minutes % dayLength) / 60), unit: 'hour' },
    { count: (minutes % dayLength) % 60, unit: 'minute' },
  ].filter(({ count }) => count > 0);
  if (parts.length === 0) return say`0 minutes`;
  const words = parts.map(({ count, unit }, index) => {
    const unitName = index === 0 ? `business ${unit}` : unit;
    return `${count} ${unitName}${count === 1 ? '' : 's'}`;
  });
  const lastWord = words.pop() ?? '';
  return words.length === 0 ? say`${lastWord}` : say`${words.join(', ')} and ${lastWord}`;
}

function minuteOfDay(time: string): number {
  const [hour = 0, minute = 0] = time.split(':').map(Number);
  return hour * 60 + minute;
}

/** Returns the requested increase: `500 more activations`, or `5 more KMS hosts`. */
export function increase({ request, keyType }: EmailContext): Sentence {
  return say`${request.activations} more ${unit(request.activations, keyType)}`;
}

/** Returns a limit with its unit: `300 activations`, or `6 KMS hosts`. */
export function amount(count: number, { keyType }: Pick<EmailContext, 'keyType'>): Sentence {
  return say`${count} ${unit(count, keyType)}`;
}

function unit(count: number, keyType: EmailContext['keyType']): string {
  if (keyType === 'KMS') return count === 1 ? 'KMS host' : 'KMS hosts';
  return count === 1 ? 'activation' : 'activations';
}

/** Returns the name of the limit of a key of that type. */
export function limitName({ keyType }: Pick<EmailContext, 'keyType'>): Sentence {
  return keyType === 'MAK' ? say`activation limit` : say`host limit`;
}

/** Returns the agreement by the numbers in the customer's contract. */
export function agreement({ request: { form } }: EmailContext): Sentence {
  return 'agreementNumber' in form
    ? say`agreement ${form.agreementNumber}`
    : say`authorization ${form.authorizationNumber}, license ${form.licenseNumber}`;
}

/** Returns the requester's name and email address, which EXC-2 checked against the Authorized Contact List. */
export function requester({ request: { form } }: EmailContext): Sentence {
  return say`${form.requester.name}, ${sayAddress(form.requester.email)}`;
}

/** Returns the type of a key and its last five characters, the only part that is ever shown (KEY-6). */
export function key({ keyType, lastFive }: Pick<EmailContext, 'keyType' | 'lastFive'>): Sentence {
  return say`${keyType === 'MAK' ? 'MAK' : 'KMS key'} ending in ${lastFive}`;
}

/** Returns the same as `key` for readers who may not know the abbreviations. */
export function keySpelledOut({ keyType, lastFive }: Pick<EmailContext, 'keyType' | 'lastFive'>): Sentence {
  return keyType === 'MAK'
    ? say`multiple activation key (MAK) ending in ${lastFive}`
    : say`Key Management Service (KMS) key ending in ${lastFive}`;
}

/**
 * Says when the response is or was due or, while the deadline is paused, how much time is left after it (SLA-1, SLA-2).
 */
export function dueTime({ request: { clock }, to, now, policy }: EmailContext): Sentence {
  if (clock.status === 'paused') {
    const resumeCondition = to.role === 'requester' ? say`you reply` : say`the requester replies`;
    return clock.remainingMinutes > 0
      ? say`The deadline is paused until ${resumeCondition}. After that, we have ${businessTime(clock.remainingMinutes, policy)} left to respond.`
      : say`The deadline is paused until ${resumeCondition}. Our response is already overdue.`;
  }
  const verb = clock.status === 'running' && !isBefore(clock.dueAt, now) ? 'is' : 'was';
  return say`Our response ${verb} due by ${moment(clock.dueAt, policy)}.`;
}

/** Returns the row that shows how much time is left to respond, or how long the response is overdue. */
export function timeLeft({ request, now, policy }: EmailContext): {
  readonly label: Sentence;
  readonly value: Sentence;
} {
  const minutes = remainingMinutes(request.clock, now, policy);
  return { label: minutes < 0 ? say`Overdue by` : say`Time left`, value: businessTime(Math.abs(minutes), policy) };
}
