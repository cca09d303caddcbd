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

// Reminders are sent in the order of their list: of [4, 1] the second would be late before the first was due.
const isAscending = (numbers: readonly number[]) =>
  numbers.every((each, index) => each > (numbers[index - 1] ?? Number.NEGATIVE_INFINITY));
const isDescending = (numbers: readonly number[]) => isAscending(numbers.toReversed());

/** A record over an enum asks for every one of its keys. */
const perLevel = () => z.record(z.enum([...levels, 'none']), z.number().positive()).readonly();

/**
 * Every number and name that the vendor may choose, in one file (`policy.json`), checked once when a function starts.
 * A rule never holds a number of its own; the workflow file holds none at all.
 */
export const policySchema = z.lazy(() =>
  z
    .strictObject({
      catalog: z
        .record(z.enum(products), z.strictObject({ group: z.enum(productGroups), name: z.string().min(1) }).readonly())
        .readonly()
        .describe('The product group of every product and the name that people know it by (KEY-3).'),
      initialMakLimit: z
        .strictObject({
          floor: positiveCount().describe('No MAK starts with fewer activations than this.'),
          roundUpTo: positiveCount().describe('Initial limits are rounded up to a multiple of this.'),
          activationsPerLicense: z
            .record(z.enum(programs), perLevel())
            .readonly()
            .describe(
              'Activations for each license, by program and price level; `none` is for agreements without a level.',
            ),
        })
        .readonly()
        .describe('How many activations a new MAK starts with (KEY-4).'),
      kms: z
        .strictObject({
          hostPlaces: positiveCount().describe('Hosts that a KMS key activates (KMS-1).'),
          usesPerHost: positiveCount().describe('Activations of each host (KMS-1).'),
          newHostsWarning: z
            .strictObject({ hosts: positiveCount(), withinHours: positiveCount() })
            .readonly()
            .describe('So many new hosts within so many hours look like a KMS key typed on clients (KMS-4).'),
        })
        .readonly(),
      callCenter: z
        .strictObject({
          zone: zone().describe('The zone in which the call centre counts its days (OVR-2).'),
          overridesPerKey: positiveCount().describe('Overrides that a KMS key can get in all (OVR-3).'),
          increaseUpToTimesOriginal: positiveCount().describe(
            'A MAK may be raised by phone to its original limit times this (MAK-4).',
          ),
        })
        .readonly(),
      supportCalendar: z
        .strictObject({
          zone: zone().describe('The zone of the business hours (SLA-1).'),
          opensAt: timeOfDay(),
          closesAt: timeOfDay(),
          holidays: z.enum(['united-states-federal', 'none']).describe('Which public holidays are no business days.'),
          closedOn: z.array(day()).readonly().describe('Further days on which support is closed.'),
        })
        .readonly()
        .refine(({ opensAt, closesAt }) => opensAt < closesAt, 'closesAt must be later than opensAt'),
      exceptions: z
        .strictObject({
          answerWithinBusinessDays: positiveCount().describe('A complete request is answered within these (SLA-1).'),
          notEnglishExtraBusinessDays: count().describe('Added for a request that is not in English (SLA-3).'),
          reviewAbove: z
            .strictObject({ MAKADD: count(), KMSADD: count() })
            .readonly()
            .describe('A request for more than this goes to the team first (EXC-8).'),
          atMost: z
            .strictObject({ MAKADD: positiveCount(), KMSADD: positiveCount() })
            .readonly()
            .describe('The largest request that the form takes; more is a matter for a new agreement.'),
          correspondentRemindedAfterBusinessDays: z
            .array(positiveCount())
            .readonly()
            .refine(isAscending, 'each must be later than the one before')
            .describe('When a silent Notices Correspondent is reminded, in business days after being asked (SLA-5).'),
          teamRemindedBeforeDueBusinessDays: z
            .array(count())
            .readonly()
            .refine(isDescending, 'each must be nearer to the due time than the one before')
            .describe('When the team is reminded, in business days before the due time; 0 is at due (SLA-5).'),
          supervisorsToldEveryBusinessDays: positiveCount().describe(
            'How often supervisors hear of a late request, from its breach on (SLA-5).',
          ),
          lapsesAfterBusinessDays: positiveCount().describe(
            'A Correspondent or requester silent for so long lets a request lapse (SLA-6).',
          ),
        })
        .readonly(),
      approval: z
        .strictObject({
          wrongCodesAllowed: positiveCount().describe('So many wrong codes void a link (APR-2).'),
          strict: z.boolean().describe('Whether the code is sent apart from the link, on demand (APR-7).'),
          strictCodeMinutes: positiveCount().describe('How long a code sent on demand is good for (APR-7).'),
        })
        .readonly(),
      noticesCorrespondent: z
        .strictObject({ waitingHours: count().describe('A new Notices Correspondent takes over after these (AGR-4).') })
        .readonly(),
      validation: z
        .strictObject({
          graceDays: count().describe('How long the installations of a blocked key stay genuine (VAL-1).'),
        })
        .readonly(),
      alerts: z
        .strictObject({
          usedPercent: z
            .array(z.int().min(1).max(100))
            .readonly()
            .refine(isAscending, 'each must be more than the one before')
            .describe('Shares of a limit at which contacts are told (ALR-1).'),
          forecast: z
            .strictObject({
              windowDays: positiveCount().describe('The pace is that of so many last days.'),
              leastDays: positiveCount().describe('With a history of fewer days nothing is forecast.'),
              leastActivations: positiveCount().describe('With fewer activations in those days nothing is forecast.'),
            })
            .readonly()
            .describe('When and from what a forecast is made (ALR-2).'),
        })
        .readonly(),
      plan: z
        .strictObject({
          kmsThreshold: z
            .strictObject({ clients: positiveCount(), servers: positiveCount() })
            .readonly()
            .describe('A site with so many clients or servers can use a KMS host (AGR-6).'),
        })
        .readonly(),
    })
    .readonly(),
);

export type Policy = z.infer<typeof policySchema>;
