import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  checkDigit,
  confirmationIdFrom,
  installationIdFrom,
  parseInstallationId,
  withCheckDigits,
  withoutCheckDigits,
} from '../../../domain/keys/installation-id.ts';
import { expectAccepted, expectRefusal } from '../../builders.ts';

const digits45 = fc.array(fc.nat(9), { minLength: 45, maxLength: 45 }).map((digits) => digits.join(''));
// Computed by hand: in 12345, the digits 5, 3, and 1 are doubled (10 becomes 1), and 1 + 4 + 6 + 2 + 2 is 15, so 5 is
// missing.
const grouped = '123455 000000 999995 100008 010009 001008 000109 000018 543215';
const bare = grouped.replaceAll(' ', '');

describe('the check digit of a group', () => {
  it.each([
    ['00000', '0'],
    ['00001', '8'],
    ['00010', '9'],
    ['00005', '9'],
    ['00009', '1'],
    ['12345', '5'],
    ['79927', '0'],
    ['99999', '5'],
  ])('OVR-1 of %s is %s', (group, digit) => {
    expect(checkDigit(group)).toBe(digit);
  });

  it('OVR-1 matches the well-known Luhn example', () => {
    expect(checkDigit('7992739871')).toBe('3');
  });
});

describe('a well-formed installation id', () => {
  it.each([
    ['bare', bare],
    ['with spaces', grouped],
    ['with hyphens', grouped.replaceAll(' ', '-')],
    ['with both, and surrounding spaces', ` ${grouped.replaceAll(' ', ' - ')}\n`],
  ])('OVR-1 is parsed %s and stored without separators', (_, typed) => {
    expect(parseInstallationId(typed)).toEqual({ ok: true, installationId: bare });
  });

  it('OVR-1 is made from 45 digits, and converts back to them', () => {
    fc.assert(
      fc.property(digits45, (digits) => {
        const id = installationIdFrom(digits);
        expect(id).toMatch(/^\d{54}$/);
        expect(expectAccepted(parseInstallationId(id)).installationId).toBe(id);
        expect(withoutCheckDigits(id)).toBe(digits);
      }),
    );
  });
});

describe('a malformed installation id', () => {
  it.each([
    ['of 53 digits', bare.slice(1), 53],
    ['of 55 digits', `${bare}0`, 55],
    ['of 54 characters that are not all digits', `${bare.slice(0, 53)}x`, 54],
    ['of digits in another script', `${bare.slice(0, 53)}٣`, 54],
    ['of no characters', '', 0],
  ])('OVR-1 is refused without group numbers %s', (_, typed, characters) => {
    expect(expectRefusal(parseInstallationId(typed))).toEqual({
      code: 'invalid-installation-id',
      detail: `An installation id has 54 digits, in nine groups of six. This one has ${characters} characters, not counting spaces and hyphens. Read the complete id from the machine again.`,
      groups: [],
    });
  });

  it('OVR-1 is refused with the group that has a mistake', () => {
    expect(expectRefusal(parseInstallationId(grouped.replace('100008', '100018')))).toEqual({
      code: 'invalid-installation-id',
      detail: 'There is a mistake in group 4 of the installation id. Read it from the machine again.',
      groups: [4],
    });
  });

  it('OVR-1 is refused with every group that has a mistake, including the first and the last', () => {
    const typed = grouped.replace('123455', '123454').replace('999995', '899995').replace('543215', '543214');
    expect(expectRefusal(parseInstallationId(typed))).toEqual({
      code: 'invalid-installation-id',
      detail: 'There is a mistake in groups 1, 3, 9 of the installation id. Read them from the machine again.',
      groups: [1, 3, 9],
    });
  });

  it('OVR-1 is refused for any single wrong digit, with its group', () => {
    fc.assert(
      fc.property(digits45, fc.nat(53), fc.integer({ min: 1, max: 9 }), (digits, at, off) => {
        const right = installationIdFrom(digits);
        const mistyped = `${right.slice(0, at)}${(Number(right[at]) + off) % 10}${right.slice(at + 1)}`;
        expect(expectRefusal(parseInstallationId(mistyped))).toMatchObject({ groups: [Math.floor(at / 6) + 1] });
      }),
    );
  });
});

describe('a confirmation id', () => {
  it('MAK-2 has 48 digits in eight groups with check digits', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 32 }), (digest) => {
        const confirmation = confirmationIdFrom(digest);
        expect(confirmation).toMatch(/^\d{48}$/);
        const digits = (confirmation.match(/\d{6}/g) ?? []).map((group) => group.slice(0, 5)).join('');
        expect(withCheckDigits(digits)).toBe(confirmation);
      }),
    );
  });

  it('MAK-2 is the digest as a number modulo 10^40, padded with zeros', () => {
    const digest = new Uint8Array(20);
    digest[19] = 7;
    digest[18] = 1;
    expect(confirmationIdFrom(digest)).toBe(withCheckDigits('263'.padStart(40, '0')));
    const all = confirmationIdFrom(new Uint8Array(20).fill(255));
    expect(all).toBe(withCheckDigits(String(2n ** 160n - 1n).slice(-40)));
  });

  it('MAK-2 is the same for the same first twenty bytes of the digest', () => {
    const digest = Uint8Array.from({ length: 32 }, (_, index) => index * 7);
    const longer = Uint8Array.from(digest);
    longer[20] = 255;
    const other = Uint8Array.from(digest);
    other[19] = 255;
    expect(confirmationIdFrom(digest)).toBe(confirmationIdFrom(longer));
    expect(confirmationIdFrom(digest)).not.toBe(confirmationIdFrom(other));
  });
});
