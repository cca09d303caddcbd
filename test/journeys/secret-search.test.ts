import { describe, expect, it } from 'vitest';
import type { SearchTarget } from './secret-search.ts';
import { findSecrets } from './secret-search.ts';

const value = 'KPQ7R-3TVWX-Y2B4C-6DFGH-8JM9K';
const symbols = value.replaceAll('-', '');
const key: SearchTarget = { name: 'a key', kind: 'product-key', value };
const code: SearchTarget = { name: 'a code', kind: 'code', value: '204816' };
const token: SearchTarget = { name: 'a token', kind: 'token', value: 'qL3-x_0Zp9Yw7vB2nM4kJ6hG8fD1sA5tR' };
const secret: SearchTarget = { name: 'a secret', kind: 'token', value: 'a/root+secret of more than thirty-two bytes' };

const finds = (target: SearchTarget, text: string) => findSecrets([target], [{ name: 'somewhere', text }]).length === 1;
const base64 = (text: string) => Buffer.from(text).toString('base64');
const hex = (text: string) => Buffer.from(text).toString('hex');

describe('the search for secrets', () => {
  it.each([
    ['as shown', `Your key: ${value}.`],
    ['without hyphens', `{"productKey":"${symbols}"}`],
    ['in small letters', value.toLowerCase()],
    ['with spaces', value.replaceAll('-', ' ')],
    ['with other separators', value.replaceAll('-', '‑')],
    ['over two lines', `${value.slice(0, 13)}\r\n${value.slice(13)}`],
    ['over two lines of a quoted text', JSON.stringify(`${value.slice(0, 13)}\n${value.slice(13)}`)],
    ['in a URL', `https://x.example/?key=${value.replaceAll('-', '%2D')}`],
    ['with only its first two groups', `It begins with ${value.slice(0, 11)}.`],
    ['with only its third and fourth groups', value.slice(12, 23)],
    ['without its last five', `${value.slice(0, 23)}-*****`],
    ['in hex', hex(symbols)],
  ])('KEY-6 finds a product key %s', (_, text) => {
    expect(finds(key, text)).toBe(true);
  });

  it.each(['', 'a', 'ab', '{"a":"'])('KEY-6 APR-1 finds a secret after “%s” in base64', (before) => {
    for (const spelling of [value, symbols, value.toLowerCase()])
      expect(finds(key, base64(`${before}${spelling}"}`))).toBe(true);
    for (const each of [token, secret]) {
      expect(finds(each, base64(`${before}${each.value} and more`))).toBe(true);
      expect(finds(each, Buffer.from(`${before}${each.value}`).toString('base64url'))).toBe(true);
    }
  });

  it('KEY-6 does not find the last five, a mask, or another key', () => {
    for (const text of [
      value.slice(-5),
      `*****-*****-*****-*****-${value.slice(-5)}`,
      '9MJ8H-GFD6C-4B2YX-WVT3R-7QPK6',
      value.slice(18),
    ])
      expect(finds(key, text)).toBe(false);
  });

  it.each([
    ['in a sentence', 'Your code is 204816.'],
    ['as JSON', '{"code":"204816"}'],
    ['as a number', '[204816,1]'],
    ['in a form', 'code=204816&decision=approve'],
  ])('APR-1 finds a code %s', (_, text) => {
    expect(finds(code, text)).toBe(true);
  });

  it.each(['#204816', '1204816', '2048160', '12.204816', '2026-204816', 'a204816', '204816-1'])(
    'finds no code in %s',
    (text) => {
      expect(finds(code, text)).toBe(false);
    },
  );

  it('APR-1 finds a token as it is, in a URL, over two lines, but not in another letter case', () => {
    const { value: text } = token;
    expect(finds(token, `https://x.example/approvals/${text}/codes`)).toBe(true);
    expect(finds(token, `${text.slice(0, 20)}=\r\n${text.slice(20)}`)).toBe(true);
    expect(finds(token, hex(text))).toBe(true);
    expect(finds(token, text.toUpperCase())).toBe(false);
    expect(finds(token, text.slice(1))).toBe(false);
  });

  it('names each secret and each text that contains it', () => {
    const sources = [
      { name: 'one', text: `${value} 204816` },
      { name: 'two', text: token.value },
      { name: 'three', text: 'nothing' },
    ];
    expect(findSecrets([key, code, token], sources).map(({ target, source }) => [target.name, source.name])).toEqual([
      ['a key', 'one'],
      ['a code', 'one'],
      ['a token', 'two'],
    ]);
  });
});
