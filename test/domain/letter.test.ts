import { describe, expect, it } from 'vitest';
import { later } from '../../domain/instant.ts';
import type { Letter } from '../../domain/letter.ts';
import { unclaimed } from '../../domain/letter.ts';
import { mondayTen } from '../instants.ts';

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
