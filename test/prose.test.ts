import { describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from './project-files.ts';

type Rule = { readonly what: string; readonly pattern: RegExp; readonly files?: RegExp };

/** The project is about itself: not about the machine or the people that wrote it, and not about what is left to do. */
const foreignMatter: readonly Rule[] = [
  { what: 'a folder of the workplace', pattern: /(?<![\w.])\/work\/|shared\/design/ },
  { what: 'a temporary folder', pattern: /(?<![\w.])\/tmp\b/, files: /\.md$/ },
  { what: 'a package registry', pattern: /registry\.(npmjs|yarnpkg)|"resolved":/ },
  { what: 'an issue by its number', pattern: /\bissues? #\d/i },
  { what: 'unfinished work', pattern: /\b(TODO|FIXME|TBD|WIP)\b|not (yet )?implemented|coming soon/ },
];

/**
 * Words that have a standard term, with that term. Code, comments, documentation, emails, and pages use one term for one
 * thing: the one that a practitioner would search for (docs/glossary.md).
 */
const banned: readonly (readonly [words: string, instead: string])[] = [
  ['deeds?', 'audit event'],
  ['wound on|winds? (it |the clock )?on|winding|unwound', 'advance the clock'],
  ['struck off|strikes? off|striking off', 'remove from the outbox'],
  ['owed|owes|owing', 'pending'],
  ['laid out anew|lays? out anew|dealt out', 'split across buckets'],
  ['in the way', 'transient failure'],
  ['theStore|theMail|theEngine', 'getStore, getMailer, getWorkflowClient'],
  ['nobody of yours', 'no one in your organization'],
  ['is alarmed|are alarmed|been alarmed', 'is alerted'],
  ['seen to|sees to', 'handled'],
  ['the ball', 'assignee'],
  ['weathers?', 'fault profile'],
  ['mail ?box(es)?(?<!mailbox)(?<!mailboxes)', 'mailbox'],
  ['told of', 'notified of'],
  ['at the door', 'at the boundary'],
  ['brought about|brings about', 'caused'],
  ['centres?', 'center'],
  ['licen[c]ed?s?', 'license'],
  ['e-mails?', 'email'],
  ['fulfil|fulfils', 'fulfill'],
  ['cancelled|cancelling', 'canceled'],
  ['behaviour', 'behavior'],
  ['colour', 'color'],
  ['authoris(e|ed|es|ation)', 'authorize'],
  ['organis(e|ed|es|ation)', 'organize'],
  ['begun', 'started'],
  ['anew', 'again'],
  ['aright', 'correctly'],
  ['mends?|mended|mending', 'repair or fix'],
  ['letters? (is|are|was|were|that|which|to|of|for|about|in|goes|go|sent|kinds?)', 'email or notification'],
  ['stands the clock|clock stands', 'the clock is paused'],
  ['spoken of', 'mentioned'],
];

const bannedWords: readonly Rule[] = banned.map(([words, instead]) => ({
  what: `a word for which this project says “${instead}”`,
  pattern: new RegExp(`(?<![\\w-])(?:${words})(?![\\w-])`, 'i'),
  files: /\.(ts|js|md|json|css|html)$|^\.ci\/run$/,
}));

const rules = [...foreignMatter, ...bannedWords];

/** Returns a sentence for each rule that a file's text breaks, with the line of the first place. */
function violationsIn(path: string, text: string): string[] {
  return rules
    .filter(({ files }) => files?.test(path) ?? true)
    .flatMap(({ what, pattern }) => {
      const match = pattern.exec(text);
      if (match === null) return [];
      return [`${path}:${text.slice(0, match.index).split('\n').length} has ${what}: ${match[0]}`];
    });
}

describe('the text of the project', () => {
  // This file and the test of the form, which accepts British spelling, spell out banned words. The lock file is npm's.
  const exempt = ['test/prose.test.ts', 'test/domain/exceptions/request-form.test.ts', 'package-lock.json'];
  const paths = projectFiles().filter((path) => !/\.(png|jpg|ico|woff2|pdf|eml)$/.test(path));

  it('is about the project only, in standard terms and US spelling', () => {
    expect(paths).toContain('README.md');
    const checked = paths.filter((path) => !exempt.includes(path));
    expect(checked.flatMap((path) => violationsIn(path, readProjectFile(path)))).toEqual([]);
  });

  it('names no package registry in the lock file', () => {
    const lockFile = readProjectFile('package-lock.json');
    expect(foreignMatter.filter(({ pattern, files }) => files === undefined && pattern.test(lockFile))).toEqual([]);
  });
});

describe('a sentence', () => {
  it.each([
    ['domain/a.ts', 'const a = 1;\n// see /work/main/domain', 'domain/a.ts:2 has a folder of the workplace: /work/'],
    ['README.md', 'See shared/design/rules.md', 'README.md:1 has a folder of the workplace: shared/design'],
    ['docs/a.md', 'It is kept in /tmp/a', 'docs/a.md:1 has a temporary folder: /tmp'],
    ['package-lock.json', '{\n"resolved": "https://a"', 'package-lock.json:2 has a package registry: "resolved":'],
    ['.npmrc', 'registry=https://registry.npmjs.org', '.npmrc:1 has a package registry: registry.npmjs'],
    ['docs/a.md', 'This closes issue #12.', 'docs/a.md:1 has an issue by its number: issue #1'],
    ['store/a.ts', '// TODO: the rest', 'store/a.ts:1 has unfinished work: TODO'],
    ['store/a.ts', "throw new Error('not implemented')", 'store/a.ts:1 has unfinished work: not implemented'],
    [
      'emails/a.ts',
      'The clock can be\nwound on.',
      'emails/a.ts:2 has a word for which this project says “advance the clock”: wound on',
    ],
    ['docs/a.md', 'Call the call centre.', 'docs/a.md:1 has a word for which this project says “center”: centre'],
    ['docs/a.md', 'Look into the mail box.', 'docs/a.md:1 has a word for which this project says “mailbox”: mail box'],
    [
      'store/a.ts',
      '// Letters that are pending',
      'store/a.ts:1 has a word for which this project says “email or notification”: Letters that',
    ],
  ])('is refused in %s: %s', (path, text, sentence) => {
    expect(violationsIn(path, text)).toEqual([sentence]);
  });

  it.each([
    ['docs/a.md', 'The network is fine, and so is https://example.com/work/plan and src/work/a.ts.'],
    ['store/a.ts', "mkdtempSync('/tmp/a')"],
    ['docs/a.md', 'An issue is a request that waits; mastodons are not. The mailbox of the call center.'],
    ['package-lock.json', '"integrity": "sha512-a"'],
    ['docs/a.md', 'A key has letters and digits.'],
    ['store/a.ts', 'const followed = allowed;'],
  ])('is fine in %s: %s', (path, text) => {
    expect(violationsIn(path, text)).toEqual([]);
  });
});
