import { describe, expect, it } from 'vitest';
import { later } from '../../../domain/calendar/instant.ts';
import type { Letter } from '../../../domain/exceptions/notification.ts';
import { unclaimed, withDeputy } from '../../../domain/exceptions/notification.ts';
import { mondayTen } from '../../instants.ts';

const free: Letter = { letterId: '1-received-requester', kind: 'received', to: 'requester', claimedUntil: null };
const claimed: Letter = { ...free, letterId: '2-forwarded-requester', kind: 'forwarded', claimedUntil: mondayTen };

describe('the letters that may be sent now', () => {
  it('EXC-11 are those that nobody is sending, in the order in which they are owed', () => {
    expect(unclaimed([free, claimed], later(mondayTen, { seconds: -1 }))).toEqual([free]);
    expect(unclaimed([claimed, free], later(mondayTen, { seconds: 1 }))).toEqual([claimed, free]);
  });

  it('EXC-11 include one whose claim ends at this very moment: whoever claimed it did not send it', () => {
    expect(unclaimed([claimed], mondayTen)).toEqual([claimed]);
  });

  it('EXC-11 are none when none is owed', () => {
    expect(unclaimed([], mondayTen)).toEqual([]);
  });
});

describe('the letters to a Correspondent who has a deputy', () => {
  const wanted: Letter = {
    letterId: '3-approval-wanted-correspondent',
    kind: 'approval-wanted',
    to: 'correspondent',
    claimedUntil: null,
  };
  const toDeputy: Letter = { ...wanted, letterId: '3-approval-wanted-correspondent+deputy', to: 'deputy' };

  it('AGR-5 are owed to the deputy as well, each as a letter of its own, right after', () => {
    expect(withDeputy([wanted, free], true)).toEqual([wanted, toDeputy, free]);
  });

  it('AGR-5 are owed to the Correspondent alone when there is no deputy', () => {
    expect(withDeputy([wanted, free], false)).toEqual([wanted, free]);
  });

  it('AGR-5 are not written a second time, nor once somebody is sending them', () => {
    expect(withDeputy([wanted, toDeputy], true)).toEqual([wanted, toDeputy]);
    expect(withDeputy([{ ...wanted, claimedUntil: mondayTen }], true)).toEqual([
      { ...wanted, claimedUntil: mondayTen },
    ]);
  });
});
