import { describe, expect, it } from 'vitest';
import { html } from '../../emails/html.ts';

describe('a value inserted into markup', () => {
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

  it('is inserted unchanged if it is markup, and a list of markup one after the other', () => {
    const items = ['<1>', '<2>'].map((text) => html`<li>${text}</li>`);
    expect(String(html`<ul>${items}</ul>${html`<br />`}`)).toBe(
      '<ul><li>&#60;1&#62;</li><li>&#60;2&#62;</li></ul><br />',
    );
  });

  it('is not markup because it looks like markup', () => {
    expect(String(html`${String(html`<b>`)}`)).toBe('&#60;b&#62;');
  });
});
