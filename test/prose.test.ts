import { describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from './project-files.ts';

/**
 * What the project's text may not say. It is about the project alone: not about the machine or the people that happened
 * to write it, and not about what is still to be done.
 */
const unwanted: readonly { what: string; pattern: RegExp; files?: RegExp }[] = [
  { what: 'a folder of the workplace', pattern: /(?<![\w.])\/work\/|shared\/design/ },
  { what: 'a passing folder', pattern: /(?<![\w.])\/tmp\b/, files: /\.md$/ },
  { what: 'a package registry', pattern: /registry\.(npmjs|yarnpkg)|"resolved":/ },
  { what: 'an issue by its number', pattern: /\bissues? #\d/i },
  { what: 'unfinished work', pattern: /\b(TODO|FIXME|TBD|WIP)\b|not (yet )?implemented|coming soon/ },
];

/** The sentences about one file's text: where each unwanted thing stands in it first. */
function unwantedIn(path: string, text: string): string[] {
  return unwanted
    .filter(({ files }) => files?.test(path) ?? true)
    .flatMap(({ what, pattern }) => {
      const at = text.search(pattern);
      return at < 0 ? [] : [`${path}:${text.slice(0, at).split('\n').length} speaks of ${what}`];
    });
}

describe('the text of the project', () => {
  // This file has to spell out what it looks for.
  const own = 'test/prose.test.ts';
  const paths = projectFiles().filter((path) => path !== own && !/\.(png|jpg|ico|woff2|pdf)$/.test(path));

  it('is about the project only', () => {
    expect(paths).toContain('package-lock.json');
    expect(paths.flatMap((path) => unwantedIn(path, readProjectFile(path)))).toEqual([]);
  });
});

describe('a sentence', () => {
  it.each([
    ['domain/a.ts', 'const a = 1;\n// see /work/main/domain', 'domain/a.ts:2 speaks of a folder of the workplace'],
    ['README.md', 'See shared/design/rules.md', 'README.md:1 speaks of a folder of the workplace'],
    ['docs/a.md', 'It is kept in /tmp/a', 'docs/a.md:1 speaks of a passing folder'],
    ['package-lock.json', '{\n"resolved": "https://a"', 'package-lock.json:2 speaks of a package registry'],
    ['.npmrc', 'registry=https://registry.npmjs.org', '.npmrc:1 speaks of a package registry'],
    ['docs/a.md', 'This closes issue #12.', 'docs/a.md:1 speaks of an issue by its number'],
    ['store/a.ts', '// TODO: the rest', 'store/a.ts:1 speaks of unfinished work'],
    ['store/a.ts', "throw new Error('not implemented')", 'store/a.ts:1 speaks of unfinished work'],
  ])('is refused in %s: %s', (path, text, sentence) => {
    expect(unwantedIn(path, text)).toEqual([sentence]);
  });

  it.each([
    ['docs/a.md', 'The network is fine, and so is https://example.com/work/plan and src/work/a.ts.'],
    ['store/a.ts', "mkdtempSync('/tmp/a')"],
    ['docs/a.md', 'An issue is a request that waits; mastodons are not.'],
    ['package-lock.json', '"integrity": "sha512-a"'],
  ])('is fine in %s: %s', (path, text) => {
    expect(unwantedIn(path, text)).toEqual([]);
  });
});
