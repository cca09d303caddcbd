import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseProductKey } from '../../domain/keys/product-key.ts';
import { Secret } from '../../domain/secret.ts';
import { openVault, sameHash } from '../../store/vault.ts';
import { productKey } from '../builders.ts';

const root = new Secret('a root secret of more than thirty-two bytes');
const vault = openVault(root);
const other = openVault(new Secret('another secret of more than thirty-two bytes'));

describe('a vault', () => {
  it('KEY-6 requires a root secret of at least 32 bytes', () => {
    expect(() => openVault(new Secret('x'.repeat(31)))).toThrow('at least 32 bytes');
    expect(() => openVault(new Secret('x'.repeat(32)))).not.toThrow();
    // Sixteen characters of two bytes each.
    expect(() => openVault(new Secret('é'.repeat(16)))).not.toThrow();
  });

  it('KEY-6 derives the key ID from the product key, regardless of case and separators', () => {
    const key = productKey(7);
    const reformatted = parseProductKey(key.reveal().toLowerCase().replaceAll('-', ' '));
    expect(reformatted && vault.keyIdOf(reformatted)).toBe(vault.keyIdOf(key));
    expect(vault.keyIdOf(key)).toMatch(/^[0-9a-f]{32}$/);
    expect(vault.keyIdOf(productKey(8))).not.toBe(vault.keyIdOf(key));
    expect(other.keyIdOf(key)).not.toBe(vault.keyIdOf(key));
  });

  it('MAK-2 returns a deterministic digest that differs for each installation and key', () => {
    const digest = vault.digestOf('key', 'installation').toString('hex');
    expect(vault.digestOf('key', 'installation').toString('hex')).toBe(digest);
    const others = [
      vault.digestOf('key', 'another'),
      vault.digestOf('another', 'installation'),
      other.digestOf('key', 'installation'),
    ];
    for (const each of others) expect(each.toString('hex')).not.toBe(digest);
  });

  it('APR-1 returns different hashes for different purposes', () => {
    const code = new Secret('493817');
    const hash = vault.hashOf('code for A', code);
    expect(vault.hashOf('code for A', new Secret('493817'))).toBe(hash);
    expect(vault.hashOf('code for B', code)).not.toBe(hash);
    expect(vault.hashOf('code for A', new Secret('493818'))).not.toBe(hash);
    expect(other.hashOf('code for A', code)).not.toBe(hash);
  });
});

describe('the version of the root secret', () => {
  const second = openVault(root, 2);
  const two = openVault(new Secret('a second root secret of thirty-two bytes and more'), 2);

  it('KEY-6 is the prefix of every stored or published value, without making it longer', () => {
    const code = new Secret('493817');
    expect([vault.keyIdOf(productKey(7)), second.keyIdOf(productKey(7))]).toEqual([
      expect.stringMatching(/^01[0-9a-f]{30}$/),
      expect.stringMatching(/^02[0-9a-f]{30}$/),
    ]);
    expect([vault.hashOf('code', code), second.hashOf('code', code)]).toEqual([
      expect.stringMatching(/^01[0-9a-f]{62}$/),
      expect.stringMatching(/^02[0-9a-f]{62}$/),
    ]);
    expect([vault.seal('text', 'id'), second.seal('text', 'id')]).toEqual([
      expect.stringMatching(/^1\.[\w-]+\.[\w-]+\.[\w-]+$/),
      expect.stringMatching(/^2\.[\w-]+\.[\w-]+\.[\w-]+$/),
    ]);
    expect(openVault(root, 255).hashOf('code', code)).toMatch(/^ff/);
  });

  it('KEY-6 is in the error if a text was sealed with another secret', () => {
    expect(() => vault.open(two.seal('text', 'id'), 'id')).toThrow('another root secret than version 1');
    expect(() => two.open(vault.seal('text', 'id'), 'id')).toThrow('another root secret than version 2');
    expect(two.open(two.seal('text', 'id'), 'id')).toBe('text');
  });

  it.each([0, 256, -1, 1.5, Number.NaN])('cannot be %s', (version) => {
    expect(() => openVault(root, version)).toThrow('from 1 to 255');
  });
});

describe('a sealed text', () => {
  const text = fc.string({ unit: 'grapheme' });

  it('KEY-6 opens only for the same purpose', () => {
    fc.assert(
      fc.property(text, text, text, (plainText, purpose, another) => {
        const sealed = vault.seal(plainText, purpose);
        expect(vault.open(sealed, purpose)).toBe(plainText);
        expect(() => other.open(sealed, purpose)).toThrow();
        if (another !== purpose) expect(() => vault.open(sealed, another)).toThrow();
        if (plainText.length > 8) expect(Buffer.from(sealed).includes(plainText)).toBe(false);
      }),
    );
  });

  it('KEY-6 never shares its nonce with another text or purpose', () => {
    const nonceOf = (plainText: string, purpose: string) => vault.seal(plainText, purpose).split('.')[1];
    fc.assert(
      fc.property(text, text, text, text, (plainText, purpose, otherText, otherPurpose) => {
        const isSame = plainText === otherText && purpose === otherPurpose;
        expect(nonceOf(plainText, purpose) === nonceOf(otherText, otherPurpose)).toBe(isSame);
      }),
    );
    expect(nonceOf('c', 'a/b')).not.toBe(nonceOf('b/c', 'a'));
  });

  it('KEY-6 does not open if any part of it was modified, or if it is not a sealed text', () => {
    const sealed = vault.seal('BCDFG', 'key');
    for (const [index, character] of [...sealed].entries()) {
      const tampered = sealed.slice(0, index) + (character === 'A' ? 'B' : 'A') + sealed.slice(index + 1);
      // The last character of a part can contain unused bits.
      if (hasSameBytes(tampered, sealed)) continue;
      expect(() => vault.open(tampered, 'key')).toThrow();
    }
    const [version, nonce, tag = '', cipherText] = sealed.split('.');
    const shortTag = Buffer.from(tag, 'base64url').subarray(0, 4).toString('base64url');
    expect(() => vault.open([version, nonce, shortTag, cipherText].join('.'), 'key')).toThrow();
    for (const nonsense of ['', '1', '1.a.b', '2.a.b.c', 'v1.a.b.c', sealed.slice(2)]) {
      expect(() => vault.open(nonsense, 'key')).toThrow();
    }
  });

  function hasSameBytes(one: string, another: string): boolean {
    const parts = (text: string) => text.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
    return one.startsWith('1.') && JSON.stringify(parts(one)) === JSON.stringify(parts(another));
  }

  it('KEY-6 opens as a product key only if the text is one', () => {
    const key = productKey(7);
    expect(vault.openProductKey(vault.seal(key.reveal(), 'id'), 'id').reveal()).toBe(key.reveal());
    expect(() => vault.openProductKey(vault.seal('no key', 'id'), 'id')).toThrow(
      'The sealed text of id is not a product key.',
    );
  });
});

describe('two hashes', () => {
  it.each([
    ['abc', 'abc', true],
    ['abc', 'abd', false],
    ['abc', 'abcd', false],
    ['', '', true],
  ])('APR-1 compares %s and %s: %s', (one, another, same) => {
    expect(sameHash(one, another)).toBe(same);
  });
});
