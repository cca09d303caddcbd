import { addBusinessDays, businessDayMinutes, dayIn, startOfDay } from '../calendar/business-time.ts';
import type { CivilDate, Instant } from '../calendar/instant.ts';
import { addDuration, dayNumber, epochMilliseconds, fromDayNumber, isBefore } from '../calendar/instant.ts';
import type { Policy } from '../policy.ts';

/** The forecast of a key's use. All members are null when the history is too short. */
export type UsageForecast = {
  /** Activations a day, averaged over the window. */
  readonly perDay: number | null;
  readonly runsOutOn: CivilDate | null;
  /** The last day to submit an exception request that is answered before the key runs out. */
  readonly askBy: CivilDate | null;
  /** The forecast as a sentence for customers; null when there is none. */
  readonly inWords: string | null;
};

/** The forecast where nothing can be predicted. */
export const emptyForecast: UsageForecast = { perDay: null, runsOutOn: null, askBy: null, inWords: null };

export type UsageHistory = {
  /** The time of each activation, in any order. */
  readonly activatedAt: readonly Instant[];
  readonly remaining: number;
  /** The usual decision time of this customer's Notices Correspondent; 0 while it is unknown. */
  readonly usualApprovalBusinessDays: number;
};

/** The forecast horizon. The current pace says nothing about a time further ahead. */
const horizonDays = 1_095;
const millisecondsADay = 86_400_000;

/**
 * Forecasts the day on which a key runs out, and the last safe day to ask for more: that day minus the business days to
 * answer a request and the customer's usual approval time (ALR-2). Returns only nulls when the history is too short.
 */
export function forecastUsage(history: UsageHistory, now: Instant, policy: Policy): UsageForecast {
  const { windowDays, leastDays, leastActivations } = policy.alerts.forecast;
  const { zone } = policy.supportCalendar;
  const from = addDuration(now, { days: -windowDays });
  const recentActivations = history.activatedAt.filter((at) => !isBefore(at, from) && !isBefore(now, at)).length;
  const first = history.activatedAt.reduce<Instant>((earliest, at) => (isBefore(at, earliest) ? at : earliest), now);
  const historyDays = (epochMilliseconds(now) - epochMilliseconds(first)) / millisecondsADay;
  if (historyDays < leastDays || recentActivations < leastActivations) return emptyForecast;

  const perDay = recentActivations / Math.min(windowDays, historyDays);
  const daysLeft = Math.floor(history.remaining / perDay);
  const roundedPerDay = Math.round(perDay * 100) / 100;
  if (daysLeft > horizonDays) return { ...emptyForecast, perDay: roundedPerDay };

  const today = dayNumber(dayIn(now, zone));
  const runsOutOn = fromDayNumber(today + daysLeft);
  const businessDays = policy.exceptions.answerWithinBusinessDays + Math.ceil(history.usualApprovalBusinessDays);
  const askBy = dayIn(addBusinessDays(startOfDay(runsOutOn, zone), -businessDays, policy.supportCalendar), zone);
  return {
    perDay: roundedPerDay,
    runsOutOn,
    askBy,
    inWords:
      history.remaining > 0
        ? describeForecast({ runsOutOn, askBy, today: fromDayNumber(today), historyDays }, policy)
        : 'The key has run out. Ask for more now.',
  };
}

/**
 * Returns how long a Notices Correspondent usually takes to decide, in business days with fractions. It is the median
 * of the last decisions, so that one long vacation has little weight. 0 when there are none.
 * @param businessMinutes the duration of each of the last decisions, in any order.
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
  const advice = askBy <= today ? 'Ask for more now' : `Ask by ${dayInWords(askBy, today)}`;
  return `At the pace of ${pace}, the key runs out on ${dayInWords(runsOutOn, today)}. ${advice}.`;
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

/** Formats a day for people, without the year if it is the current one. */
function dayInWords(day: CivilDate, today: CivilDate): string {
  const [year = '', month = '', date = ''] = day.split('-');
  const name = `${Number(date)} ${months[Number(month) - 1]}`;
  return today.startsWith(year) ? name : `${name} ${year}`;
}
