import * as z from 'zod';
import { civilDate } from './calendar/instant.ts';
import { levels, productGroups, products, programs } from './catalog.ts';

const count = () => z.int().min(0);
const positiveCount = () => z.int().min(1);
const zone = () =>
  z.string().refine((name) => {
    try {
      new Intl.DateTimeFormat('en', { timeZone: name });
      return true;
    } catch {
      return false;
    }
  }, 'is not a time zone of the IANA database, such as America/Los_Angeles');
const timeOfDay = () => z.string().regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'is not a time of day such as 09:00');
const day = () =>
  z.string().transform((text, context) => {
    try {
      return civilDate(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'is not a date such as 2027-01-04' });
      return z.NEVER;
    }
  });

// Reminders are sent in list order. In [4, 1], the second would be overdue before the first.
const isAscending = (numbers: readonly number[]) =>
  numbers.every((each, index) => each > (numbers[index - 1] ?? Number.NEGATIVE_INFINITY));
const isDescending = (numbers: readonly number[]) => isAscending(numbers.toReversed());

/** A record over an enum requires every one of its keys. */
const perLevel = () => z.record(z.enum([...levels, 'none']), z.number().positive()).readonly();

/**
 * Every number and name that the vendor can choose. They are in one file, `policy.json`, and are checked once when a
 * function starts. Rules contain no numbers of their own, and neither does the workflow file.
 */
export const policySchema = z.lazy(() =>
  z
    .strictObject({
      catalog: z
        .record(z.enum(products), z.strictObject({ group: z.enum(productGroups), name: z.string().min(1) }).readonly())
        .readonly()
        .describe('The product group and the display name of every product (KEY-3).'),
      initialMakLimit: z
        .strictObject({
          floor: positiveCount().describe('The smallest initial limit of a MAK.'),
          roundUpTo: positiveCount().describe('Initial limits are rounded up to a multiple of this number.'),
          activationsPerLicense: z
            .record(z.enum(programs), perLevel())
            .readonly()
            .describe('Activations per license, by program and price level. `none` is for agreements without a level.'),
        })
        .readonly()
        .describe('The initial limit of a MAK (KEY-4).'),
      kms: z
        .strictObject({
          hostPlaces: positiveCount().describe('The number of hosts that a KMS key can activate (KMS-1).'),
          usesPerHost: positiveCount().describe('The number of activations of each host (KMS-1).'),
          newHostsWarning: z
            .strictObject({ hosts: positiveCount(), withinHours: positiveCount() })
            .readonly()
            .describe(
              'This many new hosts within this many hours suggest that the KMS key is used on client computers (KMS-4).',
            ),
        })
        .readonly(),
      callCenter: z
        .strictObject({
          zone: zone().describe('The time zone of the call center’s days (OVR-2).'),
          overridesPerKey: positiveCount().describe('The number of overrides that a KMS key can get in total (OVR-3).'),
          increaseUpToTimesOriginal: positiveCount().describe(
            'The call center can raise a MAK up to its original limit times this factor (MAK-4).',
          ),
        })
        .readonly(),
      supportCalendar: z
        .strictObject({
          zone: zone().describe('The time zone of the business hours (SLA-1).'),
          opensAt: timeOfDay(),
          closesAt: timeOfDay(),
          holidays: z
            .enum(['united-states-federal', 'none'])
            .describe('The public holidays on which support is closed.'),
          closedOn: z.array(day()).readonly().describe('More days on which support is closed.'),
        })
        .readonly()
        .refine(({ opensAt, closesAt }) => opensAt < closesAt, 'closesAt must be later than opensAt'),
      exceptions: z
        .strictObject({
          answerWithinBusinessDays: positiveCount().describe('The time to answer a complete request (SLA-1).'),
          notEnglishExtraBusinessDays: count().describe('The extra time for a request that is not in English (SLA-3).'),
          reviewAbove: z
            .strictObject({ MAKADD: count(), KMSADD: count() })
            .readonly()
            .describe('The exceptions team reviews a request for more than this (EXC-8).'),
          atMost: z
            .strictObject({ MAKADD: positiveCount(), KMSADD: positiveCount() })
            .readonly()
            .describe('The largest number that a request can ask for. More needs a new agreement.'),
          correspondentRemindedAfterBusinessDays: z
            .array(positiveCount())
            .readonly()
            .refine(isAscending, 'each must be later than the one before')
            .describe(
              'When a Notices Correspondent who has not answered is reminded, in business days after being asked (SLA-5).',
            ),
          teamRemindedBeforeDueBusinessDays: z
            .array(count())
            .readonly()
            .refine(isDescending, 'each must be closer to the due time than the one before')
            .describe('When the team is reminded, in business days before the due time; 0 is the due time (SLA-5).'),
          supervisorsToldEveryBusinessDays: positiveCount().describe(
            'How often supervisors are notified of an overdue request, starting at the due time (SLA-5).',
          ),
          lapsesAfterBusinessDays: positiveCount().describe(
            'A request lapses when the Correspondent or the requester does not answer for this long (SLA-6).',
          ),
        })
        .readonly(),
      approval: z
        .strictObject({
          wrongCodesAllowed: positiveCount().describe('After this many wrong codes, a link is void (APR-2).'),
          strict: z
            .enum(['off', 'always', 'above-review-threshold'])
            .describe(
              'The requests whose code is sent separately from the link, on demand (APR-7): none, all, or those for more than `exceptions.reviewAbove`.',
            ),
          strictCodeMinutes: positiveCount().describe('How long a code sent on demand is valid (APR-7).'),
        })
        .readonly(),
      noticesCorrespondent: z
        .strictObject({
          waitingHours: count().describe('The waiting period before a new Notices Correspondent takes over (AGR-4).'),
        })
        .readonly(),
      validation: z
        .strictObject({
          graceDays: count().describe(
            'How long the installations of a blocked key stay genuine: the grace period (VAL-1).',
          ),
        })
        .readonly(),
      alerts: z
        .strictObject({
          usedPercent: z
            .array(z.int().min(1).max(100))
            .readonly()
            .refine(isAscending, 'each must be more than the one before')
            .describe('The used shares of a limit, in percent, at which contacts are alerted (ALR-1).'),
          forecast: z
            .strictObject({
              windowDays: positiveCount().describe('The forecast uses the activations of this many last days.'),
              leastDays: positiveCount().describe('There is no forecast with a shorter history than this.'),
              leastActivations: positiveCount().describe(
                'There is no forecast with fewer activations than this in the window.',
              ),
            })
            .readonly()
            .describe('The conditions for a forecast (ALR-2).'),
        })
        .readonly(),
      plan: z
        .strictObject({
          kmsThreshold: z
            .strictObject({ clients: positiveCount(), servers: positiveCount() })
            .readonly()
            .describe('A site with at least this many clients or servers can use a KMS host (AGR-6).'),
        })
        .readonly(),
    })
    .readonly(),
);

export type Policy = z.infer<typeof policySchema>;
