import { describe, expect, it } from 'vitest';
import { linesOf, say, sayAddress, sayAll, truncate } from '../../emails/say.ts';

describe('somebody else’s text in a sentence', () => {
  it.each<[what: string, given: string, said: string]>([
    ['is one line', 'Ann\r\nBcc: all', 'Ann Bcc: all'],
    ['is one line, by whatever ends lines', 'a\u2028b\u2029c\u0085d\u000be\u000cf', 'a b c d e f'],
    ['has no control characters', 'a\u0000b\u001b[0m\u007f\u009b', 'ab[0m'],
    ['changes no direction', '\u202egnp.\u202c\u2066x\u2069\u200f', 'gnp.x'],
    ['has nothing that is not seen', 'a\u200bb\u00adc\u2060d\ufeffe\u034ff\u{e0041}\u{e0000}', 'abcdef'],
    ['has single spaces', '  a \u00a0\u3000\u2800  b\t', 'a b'],
    ['keeps emoji that are put together', '👩‍👩‍👧 ❤️', '👩‍👩‍👧 ❤️'],
    ['keeps Persian joiners', 'x می‌خواهم', '\u2068x می‌خواهم\u2069'],
    ['keeps accents, composed', 'Ine\u0301s', 'Inés'],
    ['has no pile of marks', `z${'\u0316'.repeat(9)}`, `z${'\u0316'.repeat(4)}`],
    ['is well-formed', 'a\ud800b', 'a\ufffdb'],
    ['stays on its own side when it is written from the right', 'שרה', '\u2068שרה\u2069'],
    ['links to no page', 'https://evil.example/a', 'https[:]//evil[.]example/a'],
    ['links to no host', 'see www.evil.example.', 'see www[.]evil[.]example.'],
    ['links to no mailbox', 'mailto:a@evil.example', 'mailto[:]a@evil[.]example'],
    ['links to no phone', 'tel:+19005550100', 'tel[:]+19005550100'],
    ['links to no share', '\\\\evil\\share', '[\\\\]evil\\share'],
    ['links to nothing behind what is not seen', 'evil.\u200bexample', 'evil[.]example'],
    [
      'keeps what only looks a little like a link',
      'e.g. 1.5 at 10:30, i.e. No.5 (a.m.)',
      'e.g. 1.5 at 10:30, i.e. No.5 (a.m.)',
    ],
  ])('%s', (_, given, said) => {
    expect(say`${given}`.text).toBe(said);
  });

  it.each([
    [119, false],
    [120, false],
    [121, true],
  ])('is bounded: %i characters are cut: %s', (length, cut) => {
    const { text } = say`${'x'.repeat(length)}`;
    expect(text).toBe(cut ? `${'x'.repeat(119)}…` : 'x'.repeat(length));
  });

  it('stands among our own words, numbers and sentences, which stay as they are', () => {
    expect(say`${say`See https://our.example.`} ${12_345} for ${'a.example'}`.text).toBe(
      'See https://our.example. 12,345 for a[.]example',
    );
    expect(sayAll([say`One.`, say`Two.`]).text).toBe('One. Two.');
  });
});

describe('an address', () => {
  it.each(['ines@alder.example', 'i.o+x_1@a-b.alder.example'])('that is plain stays one: %s', (email) => {
    expect(sayAddress(email).text).toBe(email);
  });

  it.each([
    ['a@evil.example, b@evil.example', 'a@evil[.]example, b@evil[.]example'],
    ['Ann <a@evil.example>', 'Ann <a@evil[.]example>'],
    ['a@evil.example/login', 'a@evil[.]example/login'],
    ['a@evil.example\nx', 'a@evil[.]example x'],
    [`a@${'x'.repeat(260)}.example`, `a@${'x'.repeat(117)}…`],
  ])('that is anything else is somebody else’s text: %s', (email, said) => {
    expect(sayAddress(email).text).toBe(said);
  });
});

describe('somebody else’s text at length', () => {
  it('is lines, with one empty line at a time and none around', () => {
    expect(linesOf('\n\n a  b \r\n\r\n\r\n\r\nc\u2028d\n')).toEqual(['a b', '', 'c', 'd']);
  });

  it('is a line even when it says nothing', () => {
    expect(linesOf(' \n\t\n')).toEqual(['']);
  });
});

describe('shortening', () => {
  it('never cuts through what people see as one character', () => {
    expect(truncate(`ab👩‍👩‍👧`, 5)).toBe('ab…');
  });

  it('keeps to its length even where one character is longer than that', () => {
    expect(truncate(`👩${'\u200d👩'.repeat(50)}`, 10)).toBe('…');
  });
});
