import { describe, expect, it } from 'vitest';
import { linesOf, say, sayAddress, sayAll, truncate } from '../../emails/say.ts';

describe('text from others in a sentence', () => {
  it.each<[property: string, input: string, output: string]>([
    ['is one line', 'Ann\r\nBcc: all', 'Ann Bcc: all'],
    ['is one line, whichever character ends lines', 'a\u2028b\u2029c\u0085d\u000be\u000cf', 'a b c d e f'],
    ['has no control characters', 'a\u0000b\u001b[0m\u007f\u009b', 'ab[0m'],
    ['has no direction changes', '\u202egnp.\u202c\u2066x\u2069\u200f', 'gnp.x'],
    ['has no invisible characters', 'a\u200bb\u00adc\u2060d\ufeffe\u034ff\u{e0041}\u{e0000}', 'abcdef'],
    ['has single spaces', '  a \u00a0\u3000\u2800  b\t', 'a b'],
    ['keeps joined emoji', '👩‍👩‍👧 ❤️', '👩‍👩‍👧 ❤️'],
    ['keeps Persian joiners', 'x می‌خواهم', '\u2068x می‌خواهم\u2069'],
    ['keeps accents, composed', 'Ine\u0301s', 'Inés'],
    ['has no stack of combining marks', `z${'\u0316'.repeat(9)}`, `z${'\u0316'.repeat(4)}`],
    ['is well-formed', 'a\ud800b', 'a\ufffdb'],
    ['is isolated if it is written from right to left', 'שרה', '\u2068שרה\u2069'],
    ['links to no page', 'https://evil.example/a', 'https[:]//evil[.]example/a'],
    ['links to no host', 'see www.evil.example.', 'see www[.]evil[.]example.'],
    ['links to no mailbox', 'mailto:a@evil.example', 'mailto[:]a@evil[.]example'],
    ['links to no phone', 'tel:+19005550100', 'tel[:]+19005550100'],
    ['links to no share', '\\\\evil\\share', '[\\\\]evil\\share'],
    ['has no link hidden by invisible characters', 'evil.\u200bexample', 'evil[.]example'],
    [
      'keeps text that only resembles a link',
      'e.g. 1.5 at 10:30, i.e. No.5 (a.m.)',
      'e.g. 1.5 at 10:30, i.e. No.5 (a.m.)',
    ],
  ])('%s', (_, input, output) => {
    expect(say`${input}`.text).toBe(output);
  });

  it.each([
    [119, false],
    [120, false],
    [121, true],
  ])('is bounded: %i characters, cut: %s', (length, cut) => {
    const { text } = say`${'x'.repeat(length)}`;
    expect(text).toBe(cut ? `${'x'.repeat(119)}…` : 'x'.repeat(length));
  });

  it('leaves our own words, numbers, and sentences unchanged', () => {
    expect(say`${say`See https://our.example.`} ${12_345} for ${'a.example'}`.text).toBe(
      'See https://our.example. 12,345 for a[.]example',
    );
    expect(sayAll([say`One.`, say`Two.`]).text).toBe('One. Two.');
  });
});

describe('an email address in a sentence', () => {
  it.each(['ines@alder.example', 'i.o+x_1@a-b.alder.example'])('stays an address if it is plain: %s', (email) => {
    expect(sayAddress(email).text).toBe(email);
  });

  it.each([
    ['a@evil.example, b@evil.example', 'a@evil[.]example, b@evil[.]example'],
    ['Ann <a@evil.example>', 'Ann <a@evil[.]example>'],
    ['a@evil.example/login', 'a@evil[.]example/login'],
    ['a@evil.example\nx', 'a@evil[.]example x'],
    [`a@${'x'.repeat(260)}.example`, `a@${'x'.repeat(117)}…`],
  ])('is text from others if it is anything else: %s', (email, said) => {
    expect(sayAddress(email).text).toBe(said);
  });
});

describe('a long text from others', () => {
  it('becomes lines, with at most one empty line at a time and none at the ends', () => {
    expect(linesOf('\n\n a  b \r\n\r\n\r\n\r\nc\u2028d\n')).toEqual(['a b', '', 'c', 'd']);
  });

  it('becomes one line if it is empty', () => {
    expect(linesOf(' \n\t\n')).toEqual(['']);
  });
});

describe('a truncated text', () => {
  it('is never cut inside a visible character', () => {
    expect(truncate(`ab👩‍👩‍👧`, 5)).toBe('ab…');
  });

  it('stays within its length if one character is longer', () => {
    expect(truncate(`👩${'\u200d👩'.repeat(50)}`, 10)).toBe('…');
  });
});
