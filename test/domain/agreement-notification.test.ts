import { describe, expect, it } from 'vitest';
import { correspondentChangeRecipients, notificationsFor } from '../../domain/agreement-notification.ts';
import { anAgreement, ines, jorge, mallory, noor } from '../builders.ts';
import { mondayTen, tuesdayTen } from '../instants.ts';

const content = { kind: 'kms-key-on-clients', lastFive: 'HJKMP', hosts: 3, withinHours: 24 } as const;

describe('notifications about an event', () => {
  it('returns one notification per recipient, with everything that the email says', () => {
    expect(notificationsFor([ines, jorge], 'hosts of kms-1', anAgreement(), content)).toEqual([
      {
        notificationId: 'hosts of kms-1#ines@alder.example',
        to: { name: ines.name, email: ines.email },
        organizationName: 'Alder School District',
        agreementId: 'E-1001',
        content,
      },
      {
        notificationId: 'hosts of kms-1#jorge@alder.example',
        to: { name: jorge.name, email: jorge.email },
        organizationName: 'Alder School District',
        agreementId: 'E-1001',
        content,
      },
    ]);
  });

  it('returns one notification for a recipient who is listed twice, ignoring the case of the address', () => {
    const listedTwice = [ines, { ...ines, email: ' INES@Alder.example ' }];
    expect(notificationsFor(listedTwice, 'hosts of kms-1', anAgreement(), content)).toHaveLength(1);
  });

  it('gives the same id for the same event and recipient, and another id otherwise', () => {
    const id = (dedupKey: string, email: string) =>
      notificationsFor([{ ...ines, email }], dedupKey, anAgreement(), content)[0]?.notificationId;
    expect(id('a', 'x@y.example')).toBe(id('a', 'X@Y.example'));
    expect(new Set([id('a', 'x@y.example'), id('b', 'x@y.example'), id('a', 'z@y.example')]).size).toBe(3);
  });
});

describe('a change of the Notices Correspondent', () => {
  it('AGR-4 notifies every contact and both correspondents', () => {
    expect(correspondentChangeRecipients(anAgreement(), mallory, mondayTen)).toEqual([ines, jorge, noor, mallory]);
  });

  it('AGR-4 notifies the current Correspondent at that time', () => {
    const pending = { person: jorge, effectiveAt: tuesdayTen };
    const agreement = anAgreement({ contacts: [ines], pendingNoticesCorrespondent: pending });
    expect(correspondentChangeRecipients(agreement, mallory, mondayTen)).toEqual([ines, noor, mallory]);
    expect(correspondentChangeRecipients(agreement, mallory, tuesdayTen)).toEqual([ines, jorge, mallory]);
  });
});
