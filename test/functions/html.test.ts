import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Html, html, nothing, verbatim } from '../../functions/html.ts';

describe('a template of HTML', () => {
  it('escapes text, in an element as in an attribute', () => {
    const evil = `"><script>alert('&')</script>`;
    const escaped = '&#34;&#62;&#60;script&#62;alert(&#39;&#38;&#39;)&#60;/script&#62;';
    expect(String(html`<p title="${evil}">${evil}</p>`)).toBe(`<p title="${escaped}">${escaped}</p>`);
  });

  it('leaves nothing of any text that a parser could take for markup, and loses none of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const escaped = String(html`${text}`);
        expect(escaped).not.toMatch(/[<>"']|&(?!#\d+;)/);
        const read = escaped.replace(/&#(\d+);/g, (_, point) => String.fromCharCode(Number(point)));
        expect(read).toBe(text);
      }),
    );
  });

  it('takes markup as it stands, alone or in a row, and numbers as they are', () => {
    const rows = [html`<li>${1}</li>`, html`<li>${'<'}</li>`];
    expect(String(html`<ul>${rows}${nothing}</ul>`)).toBe('<ul><li>1</li><li>&#60;</li></ul>');
    expect(String(html`${verbatim('<hr>')}`)).toBe('<hr>');
  });

  it('does not take for markup what only looks like it', () => {
    const lookalike = JSON.parse(JSON.stringify(html`<b>x</b>`));
    expect(lookalike).not.toBeInstanceOf(Html);
    expect(JSON.stringify(lookalike)).toBe('{}');
  });
});
