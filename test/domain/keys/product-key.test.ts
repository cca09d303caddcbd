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

describe('a product key that is drawn', () => {
  it('KEY-5 is 25 symbols in five groups, each drawn from all 24', () => {
    const bounds: number[] = [];
    let next = 0;
    const drawn = generateProductKey((bound) => {
      bounds.push(bound);
      next += 1;
      return (next - 1) % bound;
    });
    expect(bounds).toEqual(Array.from({ length: 25 }, () => 24));
    expect(drawn.reveal()).toBe('BCDFG-HJKMP-QRTVW-XY234-6789B');
  });

  it('KEY-5 has no symbol that is mistaken for another: no vowels, and no S, 5, Z, L, N, 0 or 1', () => {
    expect(productKeyCharacters).toBe('BCDFGHJKMPQRTVWXY2346789');
    expect(new Set(productKeyCharacters).size).toBe(24);
  });

  it('KEY-5 uses whatever the source gives, up to its last symbol', () => {
    expect(generateProductKey(() => 23).reveal()).toBe('99999-99999-99999-99999-99999');
    expect(generateProductKey(() => 0).reveal()).toBe('BBBBB-BBBBB-BBBBB-BBBBB-BBBBB');
  });
});

describe('a product key that somebody types', () => {
  it.each([
    ['with hyphens', text],
    ['without', 'BCDFGHJKMPQRTVWXY2346789B'],
    ['in lower case', 'bcdfg-hjkmp-qrtvw-xy234-6789b'],
    ['with spaces around and between', '  BCDFG HJKMP\tQRTVW  XY234 - 6789B\n'],
  ])('KEY-5 is read %s', (_, typed) => {
    expect(parseProductKey(typed)?.reveal()).toBe(text);
  });

  it.each([
    ['nothing', ''],
    ['24 symbols', 'BCDFG-HJKMP-QRTVW-XY234-6789'],
    ['26 symbols', 'BCDFG-HJKMP-QRTVW-XY234-6789BC'],
    ['a vowel', 'ACDFG-HJKMP-QRTVW-XY234-6789B'],
    ['a zero', 'BCDFG-HJKMP-QRTVW-XY234-67890'],
    ['another mark between', 'BCDFG.HJKMP.QRTVW.XY234.6789B'],
  ])('KEY-5 is none with %s', (_, typed) => {
    expect(parseProductKey(typed)).toBeUndefined();
  });

  it('KEY-5 is any key that was ever drawn', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(23), { minLength: 25, maxLength: 25 }), (draws) => {
        const drawn = generateProductKey(() => draws.shift() ?? 0);
        expect(parseProductKey(drawn.reveal())?.reveal()).toBe(drawn.reveal());
      }),
    );
  });
});

describe('a product key that is shown', () => {
  it('KEY-6 shows its last five and no more, drawn or typed', () => {
    const masked = '*****-*****-*****-*****-6789B';
    expect(String(parseProductKey(text))).toBe(masked);
    expect(parseProductKey(text)?.lastFive).toBe('6789B');
    expect(maskedKey('6789B')).toBe(masked);
    expect(String(key)).toBe(maskedKey(key.lastFive));
  });

  it('KEY-6 shows no more in JSON, when inspected, or spread into another object', () => {
    const masked = maskedKey(key.lastFive);
    expect(JSON.stringify({ key })).toBe(`{"key":"${masked}"}`);
    expect(inspect(key)).toBe(masked);
    expect({ ...key }).toEqual({ mask: masked, lastFive: key.lastFive });
    expect(inspect(key, { showHidden: true, customInspect: false })).not.toContain(key.reveal().slice(0, 5));
  });
});

describe('a product key within what people write', () => {
  it.each([
    ['with hyphens', text],
    ['in small letters', text.toLowerCase()],
    ['with spaces', text.replaceAll('-', ' ')],
    ['in one piece', text.replaceAll('-', '')],
  ])('KEY-6 is masked %s, and nothing else is', (_, typed) => {
    expect(maskProductKeys(`Our key ${typed}, and ${typed}.\nBCDFG`)).toBe(
      `Our key ${maskedKey('6789B')}, and ${maskedKey('6789B')}.\nBCDFG`,
    );
  });

  it('KEY-6 is not seen in what is longer, shorter, or has a symbol that no key has', () => {
    for (const other of [`${text}X`, text.slice(1), `A${text.slice(1)}`, maskedKey('6789B'), ''])
      expect(maskProductKeys(other)).toBe(other);
  });
});
