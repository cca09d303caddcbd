import { describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { RequestNotification } from '../../../domain/exceptions/notification.ts';
import { selectUnclaimed, withDeputyNotifications } from '../../../domain/exceptions/notification.ts';
import { mondayTen } from '../../instants.ts';

const free: RequestNotification = {
  notificationId: '1-received-requester',
  kind: 'received',
  to: 'requester',
  claimedUntil: null,
};
const claimed: RequestNotification = {
  ...free,
  notificationId: '2-forwarded-requester',
  kind: 'forwarded',
  claimedUntil: mondayTen,
};

describe('the letters that may be sent now', () => {
  it('EXC-11 are those that nobody is sending, in the order in which they are owed', () => {
    expect(selectUnclaimed([free, claimed], addDuration(mondayTen, { seconds: -1 }))).toEqual([free]);
    expect(selectUnclaimed([claimed, free], addDuration(mondayTen, { seconds: 1 }))).toEqual([claimed, free]);
  });

  it('EXC-11 include one whose claim ends at this very moment: whoever claimed it did not send it', () => {
    expect(selectUnclaimed([claimed], mondayTen)).toEqual([claimed]);
  });

  it('EXC-11 are none when none is owed', () => {
    expect(selectUnclaimed([], mondayTen)).toEqual([]);
  });
});

describe('the letters to a Correspondent who has a deputy', () => {
  const wanted: RequestNotification = {
    notificationId: '3-approval-requested-correspondent',
    kind: 'approval-requested',
    to: 'correspondent',
    claimedUntil: null,
  };
  const toDeputy: RequestNotification = {
    ...wanted,
    notificationId: '3-approval-requested-correspondent+deputy',
    to: 'deputy',
  };

  it('AGR-5 are owed to the deputy as well, each as a letter of its own, right after', () => {
    expect(withDeputyNotifications([wanted, free], true)).toEqual([wanted, toDeputy, free]);
  });

  it('AGR-5 are owed to the Correspondent alone when there is no deputy', () => {
    expect(withDeputyNotifications([wanted, free], false)).toEqual([wanted, free]);
  });

  it('AGR-5 are not written a second time, nor once somebody is sending them', () => {
    expect(withDeputyNotifications([wanted, toDeputy], true)).toEqual([wanted, toDeputy]);
    expect(withDeputyNotifications([{ ...wanted, claimedUntil: mondayTen }], true)).toEqual([
      { ...wanted, claimedUntil: mondayTen },
    ]);
  });
});
