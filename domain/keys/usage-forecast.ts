import { addBusinessDays, businessDayMinutes, dayIn, startOfDay } from '../calendar/business-time.ts';
import type { CivilDate, Instant } from '../calendar/instant.ts';
import { addDuration, dayNumber, epochMilliseconds, fromDayNumber, isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';

/** What a key's own history says of its future. All null when the history is too short to say anything. */
export type UsageForecast = {
  /** Activations a day, at the pace of the weeks looked at. */
  readonly perDay: number | null;
  readonly runsOutOn: CivilDate | null;
  /** The last day on which an exception request can be expected to be answered before the key runs out. */
  readonly askBy: CivilDate | null;
  /** The same in words for a customer; null when there is nothing to say. */
  readonly inWords: string | null;
};

export type UsageHistory = {
  /** When each activation happened, in any order. */
  readonly activatedAt: readonly Instant[];
  readonly remaining: number;
  /** How long this customer's Notices Correspondent usually takes; 0 while nothing is known. */
  readonly usualApprovalBusinessDays: number;
};

/** Further ahead than this nobody plans, and a pace says nothing. */
const horizonDays = 1_095;
const millisecondsADay = 86_400_000;

/**
 * Forecasts the day on which a key runs out and the last safe day to ask for more: that day less the business days in
 * which a request is answered and the customer's own usual approval time (ALR-2). Silent while the history is too short.
 */
export function forecastUsage(history: UsageHistory, now: Instant, policy: Policy): UsageForecast {
  const { windowDays, leastDays, leastActivations } = policy.alerts.forecast;
  const { zone } = policy.supportCalendar;
  const from = addDuration(now, { days: -windowDays });
  const recent = history.activatedAt.filter((at) => !isBefore(at, from) && !isBefore(now, at)).length;
  const first = history.activatedAt.reduce<Instant>((earliest, at) => (isBefore(at, earliest) ? at : earliest), now);
  const historyDays = (epochMilliseconds(now) - epochMilliseconds(first)) / millisecondsADay;
  if (historyDays < leastDays || recent < leastActivations)
    return { perDay: null, runsOutOn: null, askBy: null, inWords: null };

  const perDay = recent / Math.min(windowDays, historyDays);
  const daysLeft = Math.floor(history.remaining / perDay);
  const rounded = Math.round(perDay * 100) / 100;
  if (daysLeft > horizonDays) return { perDay: rounded, runsOutOn: null, askBy: null, inWords: null };

  const today = dayNumber(dayIn(now, zone));
  const runsOutOn = fromDayNumber(today + daysLeft);
  const businessDays = policy.exceptions.answerWithinBusinessDays + Math.ceil(history.usualApprovalBusinessDays);
  const askBy = dayIn(addBusinessDays(startOfDay(runsOutOn, zone), -businessDays, policy.supportCalendar), zone);
  return {
    perDay: rounded,
    runsOutOn,
    askBy,
    inWords:
      history.remaining > 0
        ? describeForecast({ runsOutOn, askBy, today: fromDayNumber(today), historyDays }, policy)
        : 'It has run out; ask for more now.',
  };
}

/**
 * How long a Notices Correspondent usually takes to decide, in business days and parts of one: the median of how long
 * the last decisions took, so that one long holiday does not count for more than it should. 0 while there was none.
 * @param businessMinutes how long each of the last decisions took, in any order.
 */
export function medianApprovalBusinessDays(businessMinutes: readonly number[], policy: Policy): number {
  const sorted = businessMinutes.toSorted((one, other) => one - other);
  const middle = (sorted.length - 1) / 2;
  const median = ((sorted[Math.floor(middle)] ?? 0) + (sorted[Math.ceil(middle)] ?? 0)) / 2;
  return median / businessDayMinutes(policy.supportCalendar);
}

function describeForecast(
  {
    runsOutOn,
    askBy,
    today,
    historyDays,
  }: Readonly<Record<'runsOutOn' | 'askBy' | 'today', CivilDate>> & {
    readonly historyDays: number;
  },
  policy: Policy,
): string {
  const { windowDays } = policy.alerts.forecast;
  const days = Math.floor(Math.min(historyDays, windowDays));
  const pace =
    days % 7 === 0 ? `the last ${days === 7 ? 'week' : `${countInWords(days / 7)} weeks`}` : `the last ${days} days`;
  const advice = askBy <= today ? 'ask for more now' : `ask by ${dayInWords(askBy, today)}`;
  return `At the pace of ${pace} you run out on ${dayInWords(runsOutOn, today)}; ${advice}.`;
}

function countInWords(count: number): string {
  return ['no', 'one', 'two', 'three', 'four', 'five', 'six'][count] ?? String(count);
}

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
] as const;

/** A day as people say it; with its year only when that is not this year. */
function dayInWords(day: CivilDate, today: CivilDate): string {
  const [year = '', month = '', date = ''] = day.split('-');
  const name = `${Number(date)} ${months[Number(month) - 1]}`;
  return today.startsWith(year) ? name : `${name} ${year}`;
}
