import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  generateProductKey,
  maskedKey,
  maskProductKeys,
  parseProductKey,
  productKeyCharacters,
} from '../../../domain/keys/product-key.ts';
import { productKey } from '../../builders.ts';

const text = 'BCDFG-HJKMP-QRTVW-XY234-6789B';
const key = productKey(1_234_567);

describe('a generated product key', () => {
  it('KEY-5 has 25 characters in five groups, each chosen from all 24', () => {
    const bounds: number[] = [];
    let next = 0;
    const generated = generateProductKey((bound) => {
      bounds.push(bound);
      next += 1;
      return (next - 1) % bound;
    });
    expect(bounds).toEqual(Array.from({ length: 25 }, () => 24));
    expect(generated.reveal()).toBe('BCDFG-HJKMP-QRTVW-XY234-6789B');
  });

  it('KEY-5 has no characters that look alike: no vowels, and no S, 5, Z, L, N, 0, or 1', () => {
    expect(productKeyCharacters).toBe('BCDFGHJKMPQRTVWXY2346789');
    expect(new Set(productKeyCharacters).size).toBe(24);
  });

  it('KEY-5 uses every value of the random source, up to the last character', () => {
    expect(generateProductKey(() => 23).reveal()).toBe('99999-99999-99999-99999-99999');
    expect(generateProductKey(() => 0).reveal()).toBe('BBBBB-BBBBB-BBBBB-BBBBB-BBBBB');
  });
});

describe('a product key that a person types', () => {
  it.each([
    ['with hyphens', text],
    ['without separators', 'BCDFGHJKMPQRTVWXY2346789B'],
    ['in lower case', 'bcdfg-hjkmp-qrtvw-xy234-6789b'],
    ['with surrounding and inner spaces', '  BCDFG HJKMP\tQRTVW  XY234 - 6789B\n'],
  ])('KEY-5 is parsed %s', (_, typedKey) => {
    expect(parseProductKey(typedKey)?.reveal()).toBe(text);
  });

  it.each([
    ['no characters', ''],
    ['24 characters', 'BCDFG-HJKMP-QRTVW-XY234-6789'],
    ['26 characters', 'BCDFG-HJKMP-QRTVW-XY234-6789BC'],
    ['a vowel', 'ACDFG-HJKMP-QRTVW-XY234-6789B'],
    ['a zero', 'BCDFG-HJKMP-QRTVW-XY234-67890'],
    ['another separator', 'BCDFG.HJKMP.QRTVW.XY234.6789B'],
  ])('KEY-5 is undefined with %s', (_, typedKey) => {
    expect(parseProductKey(typedKey)).toBeUndefined();
  });

  it('KEY-5 is parsed for any generated key', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(23), { minLength: 25, maxLength: 25 }), (values) => {
        const generated = generateProductKey(() => values.shift() ?? 0);
        expect(parseProductKey(generated.reveal())?.reveal()).toBe(generated.reveal());
      }),
    );
  });
});

describe('a product key that is shown', () => {
  it('KEY-6 shows only its last five characters, generated or typed', () => {
    const masked = '*****-*****-*****-*****-6789B';
    expect(String(parseProductKey(text))).toBe(masked);
    expect(parseProductKey(text)?.lastFive).toBe('6789B');
    expect(maskedKey('6789B')).toBe(masked);
    expect(String(key)).toBe(maskedKey(key.lastFive));
  });

  it('KEY-6 shows no more in JSON, when inspected, or when spread into another object', () => {
    const masked = maskedKey(key.lastFive);
    expect(JSON.stringify({ key })).toBe(`{"key":"${masked}"}`);
    expect(inspect(key)).toBe(masked);
    expect({ ...key }).toEqual({ mask: masked, lastFive: key.lastFive });
    expect(inspect(key, { showHidden: true, customInspect: false })).not.toContain(key.reveal().slice(0, 5));
  });
});

describe('a product key in text that people write', () => {
  it.each([
    ['with hyphens', text],
    ['in lower case', text.toLowerCase()],
    ['with spaces', text.replaceAll('-', ' ')],
    ['without separators', text.replaceAll('-', '')],
  ])('KEY-6 is masked %s, and nothing else is', (_, typedKey) => {
    expect(maskProductKeys(`Our key ${typedKey}, and ${typedKey}.\nBCDFG`)).toBe(
      `Our key ${maskedKey('6789B')}, and ${maskedKey('6789B')}.\nBCDFG`,
    );
  });

  it('KEY-6 is not recognized in longer or shorter text, or with other characters', () => {
    for (const otherText of [`${text}X`, text.slice(1), `A${text.slice(1)}`, maskedKey('6789B'), ''])
      expect(maskProductKeys(otherText)).toBe(otherText);
  });
});
