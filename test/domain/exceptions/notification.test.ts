import { describe, expect, it } from 'vitest';
import { addDuration } from '../../../domain/calendar/instant.ts';
import type { RequestNotification } from '../../../domain/exceptions/notification.ts';
import { selectUnclaimed, withDeputyNotifications } from '../../../domain/exceptions/notification.ts';
import { mondayTen } from '../../instants.ts';

const unclaimed: RequestNotification = {
  notificationId: '1-received-requester',
  kind: 'received',
  to: 'requester',
  claimedUntil: null,
};
const claimed: RequestNotification = {
  ...unclaimed,
  notificationId: '2-forwarded-requester',
  kind: 'forwarded',
  claimedUntil: mondayTen,
};

describe('the notifications that can be sent now', () => {
  it('EXC-11 are those without a claim, in the order of the outbox', () => {
    expect(selectUnclaimed([unclaimed, claimed], addDuration(mondayTen, { seconds: -1 }))).toEqual([unclaimed]);
    expect(selectUnclaimed([claimed, unclaimed], addDuration(mondayTen, { seconds: 1 }))).toEqual([claimed, unclaimed]);
  });

  it('EXC-11 include those whose claim ends now, because the claimant did not send them', () => {
    expect(selectUnclaimed([claimed], mondayTen)).toEqual([claimed]);
  });

  it('EXC-11 are none for an empty outbox', () => {
    expect(selectUnclaimed([], mondayTen)).toEqual([]);
  });
});

describe('the notifications of a Correspondent who has a deputy', () => {
  const toCorrespondent: RequestNotification = {
    notificationId: '3-approval-requested-correspondent',
    kind: 'approval-requested',
    to: 'correspondent',
    claimedUntil: null,
  };
  const toDeputy: RequestNotification = {
    ...toCorrespondent,
    notificationId: '3-approval-requested-correspondent+deputy',
    to: 'deputy',
  };

  it('AGR-5 are copied to the deputy, each copy directly after its original', () => {
    expect(withDeputyNotifications([toCorrespondent, unclaimed], true)).toEqual([toCorrespondent, toDeputy, unclaimed]);
  });

  it('AGR-5 are not copied without a deputy', () => {
    expect(withDeputyNotifications([toCorrespondent, unclaimed], false)).toEqual([toCorrespondent, unclaimed]);
  });

  it('AGR-5 are not copied twice, nor after they were claimed', () => {
    expect(withDeputyNotifications([toCorrespondent, toDeputy], true)).toEqual([toCorrespondent, toDeputy]);
    expect(withDeputyNotifications([{ ...toCorrespondent, claimedUntil: mondayTen }], true)).toEqual([
      { ...toCorrespondent, claimedUntil: mondayTen },
    ]);
  });
});
