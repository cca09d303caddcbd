import { describe, expect, it } from 'vitest';
import { html } from '../../emails/html.ts';

describe('a value in markup', () => {
  it.each([
    ['<b>', '&#60;b&#62;'],
    ['&amp;', '&#38;amp;'],
    [`" onload="x`, '&#34; onload=&#34;x'],
    ["' onload='x", '&#39; onload=&#39;x'],
    [0, '0'],
    ['', ''],
  ])('is escaped between tags and in an attribute: %s', (value, escaped) => {
    expect(String(html`<p title="${value}">${value}</p>`)).toBe(`<p title="${escaped}">${escaped}</p>`);
  });

  it('that is markup goes in as it is, and a list of it piece by piece', () => {
    const items = ['<1>', '<2>'].map((text) => html`<li>${text}</li>`);
    expect(String(html`<ul>${items}</ul>${html`<br />`}`)).toBe(
      '<ul><li>&#60;1&#62;</li><li>&#60;2&#62;</li></ul><br />',
    );
  });

  it('cannot pass for markup by looking like it', () => {
    expect(String(html`${String(html`<b>`)}`)).toBe('&#60;b&#62;');
  });
});
