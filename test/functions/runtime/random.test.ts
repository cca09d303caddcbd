import { describe, expect, it } from 'vitest';
import { random } from '../../../functions/runtime/random.ts';

const draws = <Value>(draw: () => Value) => Array.from({ length: 200 }, draw);

describe('random values', () => {
  it('are whole numbers from 0 to below the bound', () => {
    expect(new Set(draws(() => random.below(3)))).toEqual(new Set([0, 1, 2]));
  });

  it('APR-1 are tokens of 256 bits that fit into a URL path', () => {
    const tokens = draws(() => random.token().reveal());
    for (const token of tokens) expect(token).toMatch(/^[\w-]{43}$/);
    expect(new Set(tokens).size).toBe(tokens.length);
  });

  it('APR-7 are codes with all their digits, including leading zeros', () => {
    for (const code of draws(() => random.code(2).reveal())) expect(code).toMatch(/^\d\d$/);
  });

  it('APR-1 do not appear in a log', () => {
    expect(JSON.stringify([random.token(), random.code(6)])).toBe('["[token]","[code]"]');
  });
});
