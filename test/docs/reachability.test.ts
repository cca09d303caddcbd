import { posix } from 'node:path';
import { describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from '../project-files.ts';

type Read = (path: string) => string;

const pages = projectFiles().filter((path) => /^[^/]+\.md$/.test(path) || /^docs\/.+\.md$/.test(path));

/** Returns the text of a page without its code: fenced blocks and inline code hold no links. */
function withoutCode(text: string): string {
  return text.replace(/^```.*?^```$/gms, '').replace(/`[^`\n]*`/g, '');
}

/** Returns the targets of the links and images of a page that lead to a file of the project or to a heading. */
function targetsIn(text: string): readonly string[] {
  return [...withoutCode(text).matchAll(/\]\(([^)\s]+)[^)]*\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target));
}

/** Returns the anchors that GitHub gives to the headings of a page. A repeated heading gets a number. */
function anchorsIn(text: string): readonly string[] {
  const seen = new Map<string, number>();
  const withoutBlocks = text.replace(/^```.*?^```$/gms, '');
  return [...withoutBlocks.matchAll(/^#{1,6} +(.+?) *$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replace(/\s/g, '-');
    const count = seen.get(anchor) ?? 0;
    seen.set(anchor, count + 1);
    return count === 0 ? anchor : `${anchor}-${count}`;
  });
}

/** Splits a target into the path of its file, from the project's root, and its anchor. */
function resolveTarget(from: string, target: string): { readonly path: string; readonly anchor: string } {
  const [file = '', anchor = ''] = target.split('#');
  return { path: file === '' ? from : posix.join(posix.dirname(from), decodeURI(file)), anchor };
}

/** Returns a sentence for each link of a page that leads to no file, or to no heading of its file. */
function brokenLinksIn(from: string, read: Read, files: ReadonlySet<string>): readonly string[] {
  return targetsIn(read(from)).flatMap((target) => {
    const { path, anchor } = resolveTarget(from, target);
    if (!files.has(path)) return [`${from}: ${target} leads to no file`];
    if (anchor === '' || anchorsIn(read(path)).includes(anchor)) return [];
    return [`${from}: ${target} leads to no heading of ${path}`];
  });
}

/** Returns every page that links lead to from a page, that page included. */
function reachableFrom(start: string, read: Read, all: readonly string[]): ReadonlySet<string> {
  const reached = new Set([start]);
  // A set that grows while it is iterated yields the new members too.
  for (const page of reached) {
    for (const target of targetsIn(read(page))) {
      const { path } = resolveTarget(page, target);
      if (all.includes(path)) reached.add(path);
    }
  }
  return reached;
}

describe('the links of the documentation', () => {
  const files = new Set(projectFiles());

  it('lead from the README to every page', () => {
    const reached = reachableFrom('README.md', readProjectFile, pages);
    expect(pages.length).toBeGreaterThan(20);
    expect(pages.filter((page) => !reached.has(page))).toEqual([]);
  });

  it.each(pages)('%s links only to files and headings that exist', (page) => {
    expect(brokenLinksIn(page, readProjectFile, files)).toEqual([]);
  });
});

describe('a small set of pages', () => {
  const texts: Readonly<Record<string, string>> = {
    'README.md': '# Start\n[guide](docs/guide.md#first-step) [site](https://example.com) `[code](nowhere.md)`',
    'docs/guide.md': '# Guide\n## First step\n```\n[block](nowhere.md)\n```\n[back](../README.md) [here](#first-step)',
    'docs/orphan.md': '# Orphan\n[wrong](missing.md)\n[anchor](guide.md#second-step)\n![picture](none.svg)',
  };
  const read = (path: string) => texts[path] ?? '';
  const files = new Set(Object.keys(texts));

  it('has a page that no link leads to', () => {
    expect([...reachableFrom('README.md', read, Object.keys(texts))]).toEqual(['README.md', 'docs/guide.md']);
  });

  it('has broken links in that page and in no other', () => {
    expect([...files].flatMap((path) => brokenLinksIn(path, read, files))).toEqual([
      'docs/orphan.md: missing.md leads to no file',
      'docs/orphan.md: guide.md#second-step leads to no heading of docs/guide.md',
      'docs/orphan.md: none.svg leads to no file',
    ]);
  });

  it('numbers the anchors of repeated headings', () => {
    expect(anchorsIn('# A `b` [c](d.md), e\n## Look\n## Look\n')).toEqual(['a-b-c-e', 'look', 'look-1']);
  });
});
