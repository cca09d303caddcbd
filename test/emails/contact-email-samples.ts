import type { AgreementNotification, AgreementNotificationContent } from '../../domain/agreement-notification.ts';
import { instant } from '../../domain/calendar/instant.ts';
import type { AgreementEmailContext } from '../../emails/contacts.ts';
import { ines, jorge, noor, policy } from '../builders.ts';
import { mondayTen, tuesdayTen, wednesdayNoon } from '../instants.ts';
import { consoleUrl } from './request-email-samples.ts';

/** Returns a notification to Inés of the Alder School District, unless the test says otherwise. */
export function aNotification(
  content: AgreementNotificationContent,
  members: Partial<AgreementNotification> = {},
): AgreementNotification {
  return {
    notificationId: 'event-1#ines@alder.example',
    to: { name: ines.name, email: ines.email },
    organizationName: 'Alder School District',
    agreementId: 'E-1001',
    content,
    ...members,
  };
}

export const contactEmailContext: AgreementEmailContext = { now: mondayTen, policy, consoleUrl };

/** Jorge takes over from Noor on Tuesday. */
export const correspondentChanges = {
  kind: 'correspondent-changes',
  from: noor,
  to: jorge,
  effectiveAt: tuesdayTen,
} as const;
export const makUsed = {
  kind: 'limit-used',
  keyType: 'MAK',
  lastFive: 'BCDFG',
  percent: 80,
  used: 84,
  limit: 100,
  forecast: 'At the pace of the last four weeks, the key runs out on 24 June. Ask by 16 June.',
} as const;
export const kmsUsed = {
  kind: 'limit-used',
  keyType: 'KMS',
  lastFive: 'HJKMP',
  percent: 80,
  used: 5,
  limit: 6,
  forecast: null,
} as const;
export const onClients = { kind: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 } as const;
export const makReplaced = {
  kind: 'key-replaced',
  keyType: 'MAK',
  blockedLastFive: 'BCDFG',
  issuedLastFive: 'QRTVW',
  reason: 'The key was posted on a public page.\nNobody knows by whom.',
} as const;

/** Every email about an agreement or a key, in every situation in which it is sent. */
export const contactEmailSamples: readonly {
  name: string;
  notification: AgreementNotification;
  context: AgreementEmailContext;
}[] = [
  sample('correspondent changes, to a contact', aNotification(correspondentChanges)),
  sample('correspondent changes, to the former', aNotification(correspondentChanges, { to: noor })),
  sample('correspondent changes, to the successor', aNotification(correspondentChanges, { to: jorge })),
  sample('correspondent changed, to a contact', aNotification(correspondentChanges), wednesdayNoon),
  sample('correspondent changed, to the former', aNotification(correspondentChanges, { to: noor }), wednesdayNoon),
  sample('correspondent changed, to the successor', aNotification(correspondentChanges, { to: jorge }), wednesdayNoon),
  sample('MAK at 80 %', aNotification(makUsed)),
  sample('MAK at 95 %, nothing to forecast', aNotification({ ...makUsed, percent: 95, used: 99, forecast: null })),
  sample('MAK used up', aNotification({ ...makUsed, percent: 100, used: 100, forecast: null })),
  sample('large MAK', aNotification({ ...makUsed, used: 120_000, limit: 150_000 })),
  sample('KMS key at 80 %', aNotification(kmsUsed)),
  sample('KMS key used up', aNotification({ ...kmsUsed, percent: 100, used: 6 })),
  sample('KMS key on clients', aNotification(onClients)),
  sample('MAK replaced', aNotification(makReplaced)),
  sample(
    'KMS key replaced',
    aNotification({ ...makReplaced, keyType: 'KMS', reason: 'It was entered on clients.' }),
    instant('2026-06-02T10:00:00-07:00'),
  ),
];

function sample(
  name: string,
  notification: AgreementNotification,
  now = mondayTen,
): (typeof contactEmailSamples)[number] {
  return { name, notification, context: { ...contactEmailContext, now } };
}
