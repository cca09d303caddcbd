import { format, inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Secret } from '../../domain/secret.ts';

const value = 'TTTTT-TTTTT-TTTTT-TTTTT-TTTTT';
const secret = new Secret(value, '*****');

/** The ways in which a value can get into a text by accident. */
const accidents: Record<string, (secret: Secret) => string> = {
  'toString()': (it) => it.toString(),
  'a template literal': (it) => `${it}`,
  'String()': (it) => String(it),
  // biome-ignore lint/style/useTemplate: this tests the plus operator
  concatenation: (it) => 'key: ' + it,
  'joining a list': (it) => [it].join(),
  'JSON of it': (it) => JSON.stringify(it),
  'JSON of what holds it': (it) => JSON.stringify({ key: it, keys: [it] }),
  'util.inspect of it': (it) => inspect(it),
  'util.inspect of what holds it': (it) => inspect({ deep: { key: it } }, { depth: null }),
  'util.inspect of all that is hidden': (it) => inspect(it, { showHidden: true, customInspect: false }),
  'a format of the console': (it) => format('%s %o %O %j', it, it, it, it),
  'an object spread': (it) => inspect({ ...it }) + JSON.stringify({ ...it }),
  'a structured clone': (it) => inspect(structuredClone(it)),
  'its own properties': (it) => inspect(Object.getOwnPropertyDescriptors(it)),
  'the message of an error': (it) => inspect(new Error(`cannot use ${it}`)),
  'the cause of an error': (it) => inspect(new Error('cannot use', { cause: it })),
  'the name of a property': (it) => Object.keys({ [String(it)]: 1 }).join(),
  'the text of a URL': (it) => new URL(`https://alder.example/?key=${it}`).href,
};

describe('a secret that is printed by accident', () => {
  it.each(Object.keys(accidents))('KEY-6 shows its mask and not its value in %s', (accident) => {
    const printed = accidents[accident]?.(secret);
    expect(printed).toContain('*****');
    expect(printed).not.toContain('TTTTT');
  });

  it('KEY-6 gives its mask as text, as JSON, and when inspected', () => {
    expect(String(secret)).toBe('*****');
    expect(JSON.stringify({ secret })).toBe('{"secret":"*****"}');
    expect(inspect({ secret })).toBe('{ secret: ***** }');
    expect({ ...secret }).toEqual({ mask: '*****' });
  });

  it('KEY-6 is not a number, and compares as its mask', () => {
    expect(Number(new Secret('12345'))).toBeNaN();
    expect(new Secret('B') < new Secret('C')).toBe(false);
    expect(new Secret('C') < new Secret('B')).toBe(false);
  });

  it('KEY-6 never shows any value, however it is printed', () => {
    const values = fc.string({ minLength: 24, maxLength: 64, unit: fc.constantFrom(...'BCDFGHJKMPQRTVWXY') });
    fc.assert(
      fc.property(values, fc.constantFrom(...Object.values(accidents)), (drawn, accident) => {
        expect(accident(new Secret(drawn))).not.toContain(drawn);
      }),
    );
  });
});

describe('a secret', () => {
  it('KEY-6 returns its value from reveal()', () => {
    expect(secret.reveal()).toBe(value);
  });

  it('KEY-6 has a default mask', () => {
    expect(String(new Secret(value))).toBe('[secret]');
  });
});
