import { Temporal } from 'temporal-polyfill';
import type { CivilDate, Instant } from '../domain/calendar/instant.ts';
import { isBefore } from '../domain/calendar/instant.ts';
import { remainingMinutes } from '../domain/exceptions/sla-clock.ts';
import type { Policy } from '../domain/policy.ts';
import type { EmailContext } from './request-email.ts';
import type { Sentence } from './say.ts';
import { say, sayAddress } from './say.ts';

const weekdays = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

/** A moment on the clocks of the support team, who name the times: `Monday 8 June 2026, 17:00 (America/Los_Angeles, UTC−7)`. */
export function moment(at: Instant, { supportCalendar: { zone } }: Policy): Sentence {
  const zoned = Temporal.Instant.from(at).toZonedDateTimeISO(zone);
  const time = zoned.toPlainTime().toString({ smallestUnit: 'minute' });
  return say`${dayOf(zoned.toPlainDate())}, ${time} (${zone}, ${offsetOf(zoned.offsetNanoseconds)})`;
}

/** A day of the calendar: `Friday 12 June 2026`. */
export function day(date: CivilDate): Sentence {
  return dayOf(Temporal.PlainDate.from(date));
}

function dayOf({ dayOfWeek, day: date, month, year }: Temporal.PlainDate): Sentence {
  return say`${weekdays[dayOfWeek - 1] ?? ''} ${String(date)} ${months[month - 1] ?? ''} ${String(year)}`;
}

function offsetOf(nanoseconds: number): string {
  const minutes = Math.round(nanoseconds / 60_000_000_000);
  if (minutes === 0) return 'UTC';
  const hours = Math.floor(Math.abs(minutes) / 60);
  const minutePart = Math.abs(minutes) % 60;
  // A true minus sign, so that it is neither a hyphen nor broken from its number at the end of a line.
  return `UTC${minutes < 0 ? '−' : '+'}${hours}${minutePart === 0 ? '' : `:${String(minutePart).padStart(2, '0')}`}`;
}

/**
 * Business minutes in the words of people: `2 business days and 3 hours`, `45 business minutes`. A business day is as
 * long as the support team is open. `minutes` is zero (`no time`) or more.
 */
export function businessTime(minutes: number, { supportCalendar: { opensAt, closesAt } }: Policy): Sentence {
  const dayLength = minuteOfDay(closesAt) - minuteOfDay(opensAt);
  const parts = [
    { count: Math.floor(minutes / dayLength), unit: 'day' },
    { count: Math.floor((minutes % dayLength) / 60), unit: 'hour' },
    { count: (minutes % dayLength) % 60, unit: 'minute' },
  ].filter(({ count }) => count > 0);
  if (parts.length === 0) return say`no time`;
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

/** What is asked for: `500 more activations`, or `5 more KMS hosts`. */
export function increase({ request, keyType }: EmailContext): Sentence {
  return say`${request.activations} more ${unit(request.activations, keyType)}`;
}

/** A limit, in what it counts: `300 activations`, or `6 KMS hosts`. */
export function amount(count: number, { keyType }: Pick<EmailContext, 'keyType'>): Sentence {
  return say`${count} ${unit(count, keyType)}`;
}

function unit(count: number, keyType: EmailContext['keyType']): string {
  if (keyType === 'KMS') return count === 1 ? 'KMS host' : 'KMS hosts';
  return count === 1 ? 'activation' : 'activations';
}

/** The agreement, by the numbers that the customer has on paper. */
export function agreement({ request: { form: intake } }: EmailContext): Sentence {
  return 'agreementNumber' in intake
    ? say`agreement ${intake.agreementNumber}`
    : say`authorization ${intake.authorizationNumber}, license ${intake.licenseNumber}`;
}

/** Who asks, with the address at which the Authorized Contact List has them. */
export function requester({ request: { form: intake } }: EmailContext): Sentence {
  return say`${intake.requester.name}, ${sayAddress(intake.requester.email)}`;
}

/** The key, by the only part of it that is ever written down. */
export function key({ keyType, lastFive }: Pick<EmailContext, 'keyType' | 'lastFive'>): Sentence {
  return say`${keyType === 'MAK' ? 'MAK' : 'KMS key'} ending in ${lastFive}`;
}

/** The same for a reader who may not know the abbreviations. */
export function keySpelledOut({ keyType, lastFive }: Pick<EmailContext, 'keyType' | 'lastFive'>): Sentence {
  return keyType === 'MAK'
    ? say`multiple activation key (MAK) ending in ${lastFive}`
    : say`Key Management Service (KMS) key ending in ${lastFive}`;
}

/** When our answer is due, or was; or what will be left of the time once the clock runs again (SLA-1, SLA-2). */
export function dueTime({ request: { clock }, to, now, policy }: EmailContext): Sentence {
  if (clock.status === 'paused') {
    const resumeCondition = to.role === 'requester' ? say`you answer` : say`the requester answers`;
    return clock.remainingMinutes > 0
      ? say`The clock stands until ${resumeCondition}. Then ${businessTime(clock.remainingMinutes, policy)} will be left for our answer.`
      : say`The clock stands until ${resumeCondition}. Our answer is late already.`;
  }
  const tense = clock.status === 'running' && !isBefore(clock.dueAt, now) ? 'is' : 'was';
  return say`Our answer ${tense} due by ${moment(clock.dueAt, policy)}.`;
}

/** How much time is left for our answer, or by how much it is late. */
export function timeLeft({ request, now, policy }: EmailContext): { label: Sentence; value: Sentence } {
  const minutes = remainingMinutes(request.clock, now, policy);
  return { label: minutes < 0 ? say`Late by` : say`Time left`, value: businessTime(Math.abs(minutes), policy) };
}
