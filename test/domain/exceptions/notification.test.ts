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

describe('the notifications that can be sent now', () => {
  it('EXC-11 are those without a claim, in the order of the outbox', () => {
    expect(selectUnclaimed([free, claimed], addDuration(mondayTen, { seconds: -1 }))).toEqual([free]);
    expect(selectUnclaimed([claimed, free], addDuration(mondayTen, { seconds: 1 }))).toEqual([claimed, free]);
  });

  it('EXC-11 include those whose claim ends now, because the claimant did not send them', () => {
    expect(selectUnclaimed([claimed], mondayTen)).toEqual([claimed]);
  });

  it('EXC-11 are none for an empty outbox', () => {
    expect(selectUnclaimed([], mondayTen)).toEqual([]);
  });
});

describe('the notifications of a Correspondent who has a deputy', () => {
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

  it('AGR-5 are copied to the deputy, each copy directly after its original', () => {
    expect(withDeputyNotifications([wanted, free], true)).toEqual([wanted, toDeputy, free]);
  });

  it('AGR-5 are not copied without a deputy', () => {
    expect(withDeputyNotifications([wanted, free], false)).toEqual([wanted, free]);
  });

  it('AGR-5 are not copied twice, nor after they were claimed', () => {
    expect(withDeputyNotifications([wanted, toDeputy], true)).toEqual([wanted, toDeputy]);
    expect(withDeputyNotifications([{ ...wanted, claimedUntil: mondayTen }], true)).toEqual([
      { ...wanted, claimedUntil: mondayTen },
    ]);
  });
});
