import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { docsPage, docsPageHeaders } from '../../../functions/openapi/docs-page.ts';
import { openApiDocument } from '../../../functions/openapi/document.ts';
import { problemCodes } from '../../../functions/openapi/problem-schemas.ts';

const document = openApiDocument();
const page = docsPage(document);
const operations = Object.values(document.paths).flatMap((byMethod) => Object.values(byMethod));

describe('the API documentation page', () => {
  it('loads nothing and runs no script', () => {
    expect(page).not.toMatch(/<(script|link|img|iframe|object|embed|form)\b|\bon\w+="|@import|url\(|javascript:/i);
    expect(page).not.toMatch(/ style="/);
    expect([...page.matchAll(/ (?:href|src)="([^"#]*)/g)].map(([, to]) => to).filter((to) => to !== '')).toEqual([
      'openapi.json',
    ]);
  });

  it('allows only its stylesheet, by hash', () => {
    const [, style = ''] = /<style>([\s\S]*?)<\/style>/.exec(page) ?? [];
    const hash = createHash('sha256').update(style).digest('base64');
    const policy = docsPageHeaders['content-security-policy'];
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain(`style-src 'sha256-${hash}'`);
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });

  it('has every route with a command to copy, and every error', () => {
    for (const { operationId } of operations) expect(page).toContain(`id="${operationId}"`);
    expect(page.match(/<pre>curl /g)).toHaveLength(operations.length);
    for (const code of problemCodes) expect(page).toContain(`id="error-${code}"`);
  });

  it('links only to existing, unique anchors', () => {
    const ids = [...page.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const links = [...page.matchAll(/ href="#([^"]+)"/g)].map(([, to]) => to);
    expect(links.filter((to) => !ids.includes(to))).toEqual([]);
    const labels = [...page.matchAll(/ aria-labelledby="([^"]+)"/g)].map(([, to]) => to);
    expect(labels.filter((to) => !ids.includes(to))).toEqual([]);
  });

  it('skips no heading level', () => {
    const levels = [...page.matchAll(/<h(\d)/g)].map(([, level]) => Number(level));
    expect(levels.filter((level) => level === 1)).toHaveLength(1);
    expect(levels.filter((level, index) => level > (levels[index - 1] ?? 0) + 1)).toEqual([]);
  });

  it('escapes all text', () => {
    const hostile = { ...document, info: { ...document.info, title: '<script>alert(1)</script>' } };
    expect(docsPage(hostile)).not.toContain('<script>');
  });
});
