import type { Notice, NoticeAbout } from '../../domain/agreement-notification.ts';
import { instant } from '../../domain/calendar/instant.ts';
import type { NoticeFacts } from '../../emails/contacts.ts';
import { carla, ines, policy, tom } from '../builders.ts';
import { mondayTen, tuesdayTen, wednesdayNoon } from '../instants.ts';
import { consoleUrl } from './request-email-samples.ts';

/** A notice to Inés, of the Alder School District, unless the test says otherwise. */
export function aNotice(about: NoticeAbout, facts: Partial<Notice> = {}): Notice {
  return {
    noticeId: 'something that happened#ines@alder.example',
    to: { name: ines.name, email: ines.email },
    organizationName: 'Alder School District',
    agreementId: 'E-1001',
    about,
    ...facts,
  };
}

export const someNoticeFacts: NoticeFacts = { now: mondayTen, policy, consoleUrl };

/** Tom takes over from Carla on Tuesday. */
export const correspondentChanges = {
  is: 'correspondent-changes',
  from: carla,
  to: tom,
  effectiveAt: tuesdayTen,
} as const;
export const makUsed = {
  is: 'limit-used',
  keyType: 'MAK',
  lastFive: 'BCDFG',
  percent: 80,
  used: 84,
  limit: 100,
  forecast: 'At the pace of the last four weeks you run out on 24 June; ask by 16 June.',
} as const;
export const kmsUsed = {
  is: 'limit-used',
  keyType: 'KMS',
  lastFive: 'HJKMP',
  percent: 80,
  used: 5,
  limit: 6,
  forecast: null,
} as const;
export const onClients = { is: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 } as const;
export const makReplaced = {
  is: 'key-replaced',
  keyType: 'MAK',
  blockedLastFive: 'BCDFG',
  issuedLastFive: 'QRTVW',
  reason: 'The key was posted on a public page.\nNobody knows by whom.',
} as const;

/** Every notice that there is, in the situations in which it is written. */
export const everyNotice: readonly { name: string; notice: Notice; facts: NoticeFacts }[] = [
  each('correspondent changes, to a contact', aNotice(correspondentChanges)),
  each('correspondent changes, to the former', aNotice(correspondentChanges, { to: carla })),
  each('correspondent changes, to the successor', aNotice(correspondentChanges, { to: tom })),
  each('correspondent changed, to a contact', aNotice(correspondentChanges), wednesdayNoon),
  each('correspondent changed, to the former', aNotice(correspondentChanges, { to: carla }), wednesdayNoon),
  each('correspondent changed, to the successor', aNotice(correspondentChanges, { to: tom }), wednesdayNoon),
  each('MAK at 80 %', aNotice(makUsed)),
  each('MAK at 95 %, nothing to forecast', aNotice({ ...makUsed, percent: 95, used: 99, forecast: null })),
  each('MAK used up', aNotice({ ...makUsed, percent: 100, used: 100, forecast: null })),
  each('large MAK', aNotice({ ...makUsed, used: 120_000, limit: 150_000 })),
  each('KMS key at 80 %', aNotice(kmsUsed)),
  each('KMS key used up', aNotice({ ...kmsUsed, percent: 100, used: 6 })),
  each('KMS key on clients', aNotice(onClients)),
  each('MAK replaced', aNotice(makReplaced)),
  each(
    'KMS key replaced',
    aNotice({ ...makReplaced, keyType: 'KMS', reason: 'It was typed on clients.' }),
    instant('2026-06-02T10:00:00-07:00'),
  ),
];

function each(name: string, notice: Notice, now = mondayTen): (typeof everyNotice)[number] {
  return { name, notice, facts: { ...someNoticeFacts, now } };
}
