import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../../domain/secret.ts';
import { parseReplyAddress, replyAddressFor } from '../../../functions/mail/reply-address.ts';
import { openVault } from '../../../store/vault.ts';

const vault = openVault(new Secret('a root secret for tests, of more than 32 bytes'));
const inbound = 'exceptions@volume-activation.example';
const exceptionId = 'EX-7K2M-9QRT-WXY4';
const address = replyAddressFor(exceptionId, inbound, vault);

describe('the reply address of a question', () => {
  it('EXC-14 is the exceptions address with the request id and a signature, within the limit of mail servers', () => {
    expect(address).toMatch(/^exceptions\+EX-7K2M-9QRT-WXY4\.[0-9a-f]{24}@volume-activation\.example$/);
    expect(address.indexOf('@')).toBeLessThanOrEqual(64);
    const longest = replyAddressFor(exceptionId, `${'a'.repeat(20)}@b.example`, vault);
    expect(longest.indexOf('@')).toBeLessThanOrEqual(64);
  });

  it('EXC-14 belongs to its request in upper and lower case', () => {
    for (const variant of [address, address.toLowerCase(), address.toUpperCase(), ` ${address} `]) {
      expect(parseReplyAddress(variant, inbound, vault)).toEqual({ kind: 'request', exceptionId });
    }
  });

  it('EXC-14 is forged for another request, without the vault, or with an incomplete signature', () => {
    const signature = address.slice(address.indexOf('.'), address.indexOf('@'));
    const otherVault = openVault(new Secret('another root secret for tests, of more than 32 bytes'));
    for (const forged of [
      address.replace('WXY4', 'WXY6'),
      replyAddressFor(exceptionId, inbound, otherVault),
      `exceptions+${exceptionId}@volume-activation.example`,
      `exceptions+${exceptionId}.@volume-activation.example`,
      `exceptions+${signature}@volume-activation.example`,
      `exceptions+${exceptionId}${signature.slice(0, -1)}@volume-activation.example`,
      `exceptions+${exceptionId}${signature}0@volume-activation.example`,
      'exceptions+@volume-activation.example',
    ]) {
      expect(parseReplyAddress(forged, inbound, vault), forged).toEqual({ kind: 'forged' });
    }
  });

  it('EXC-14 is forged after any change of one character', () => {
    const anyIndex = fc.nat({ max: address.indexOf('@') - 1 }).filter((index) => index > inbound.indexOf('@'));
    fc.assert(
      fc.property(anyIndex, fc.constantFrom(...'0123456789abcdefEX-'), (index, character) => {
        fc.pre(address.charAt(index).toLowerCase() !== character.toLowerCase());
        const changed = address.slice(0, index) + character + address.slice(index + 1);
        expect(parseReplyAddress(changed, inbound, vault)).toEqual({ kind: 'forged' });
      }),
    );
  });

  it.each([
    inbound,
    'Exceptions@Volume-Activation.Example',
    'exceptions@elsewhere.example',
    'exceptions+a@elsewhere.example',
    'other+a@volume-activation.example',
    '',
  ])('EXC-13 does not include any other address: %s', (other) => {
    expect(parseReplyAddress(other, inbound, vault)).toEqual({ kind: 'none' });
  });
});
