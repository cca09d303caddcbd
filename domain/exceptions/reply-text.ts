import { maskProductKeys } from '../keys/product-key.ts';
import { attributionPatterns, dividerTexts, headerNames } from './reply-markers.ts';

/** The text that the sender wrote in an email, and whether quoted or forwarded text was removed from it. */
export type ReplyText = { readonly text: string; readonly quotedTextRemoved: boolean };

/**
 * The most lines that are read. Nobody writes more by hand: the rest is history, or an attempt to keep the service
 * busy.
 */
const lineCountMax = 20_000;

/**
 * Extracts the text that the sender wrote from the body of an email (EXC-13, EXC-14). Removes quoted lines, the message
 * history that email programs append, and the signature. Keeps text below a quotation as well as text above it. Lines
 * end with `\n`, and invisible characters are removed. A product key is masked to its last five characters, because a
 * key is a secret (KEY-6).
 */
export function extractReplyText(body: string): ReplyText {
  const lines = normalizeText(body).split('\n', lineCountMax);
  const replyLines: string[] = [];
  let quotedTextRemoved = false;
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? '';
    if (/^ {0,3}>/.test(line)) {
      quotedTextRemoved = true;
      continue;
    }
    // The signature separator (RFC 3676). Many programs remove its trailing space.
    if (/^-- ?$/.test(line)) break;
    if (dividerPattern.test(line) || isCopiedHeaderStart(lines, at)) {
      quotedTextRemoved = true;
      break;
    }
    const attributionLines = countAttributionLines(lines, at);
    if (attributionLines > 0) {
      quotedTextRemoved = true;
      // A quotation with `>` marks ends where the marks end. Without marks, everything below is older text.
      if (!isQuoted(lines, at + attributionLines)) break;
      at += attributionLines - 1;
      continue;
    }
    // Spaces alone become an empty line. A tab is kept, because it ends a table cell.
    replyLines.push(line.trim() !== '' ? line : line.includes('\t') ? '\t' : '');
  }
  // Remove empty lines at the end, and the rule that some programs draw above the history.
  while (/^\s*$|^ ?[_-]{5,}$/.test(replyLines.at(-1) ?? 'none')) replyLines.pop();
  const text = replyLines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+/, '');
  return { text: maskProductKeys(text), quotedTextRemoved };
}

/** Returns the text as a person sees it: with one kind of line end, one kind of space, and no invisible characters. */
function normalizeText(text: string): string {
  return (
    text
      .toWellFormed()
      .replace(/\r\n?|[\u0085\u2028\u2029\v\f]/g, '\n')
      .replace(/[^\P{Zs} ]/gu, ' ')
      // Control characters, direction marks, soft hyphens, and zero-width characters. Joiners stay, because Persian and
      // emoji are written with them.
      .replace(/[^\P{Cc}\n\t]|[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu, '')
  );
}

const dividerPattern = new RegExp(
  `^ *[-_*=]{2,} *(?:${dividerTexts.join('|')}) *[-_*=]{2,} *$|^begin forwarded message: *$`,
  'iu',
);

type HeaderName = keyof typeof headerNames;

const headerLine = (name: HeaderName) => new RegExp(`^ *\\*?(?:${headerNames[name]})\\*? *[:：]`, 'iu');
const headerLines = {
  from: headerLine('from'),
  sent: headerLine('sent'),
  to: headerLine('to'),
  subject: headerLine('subject'),
} as const satisfies Record<HeaderName, RegExp>;

/** The most lines of a copied header: each of its four fields can be broken once. */
const copiedHeaderLinesMax = 10;
const timeOfDay = /\b\d{1,2}[:.h]\d{2}\b/;

/**
 * Returns true when a copied header starts at this line: the sender, the date with a time of day, the recipient, and
 * the subject. A form has no such lines, and a person who writes "From:" and "Date:" above a form writes no time of
 * day.
 */
function isCopiedHeaderStart(lines: readonly string[], at: number): boolean {
  if (!headerLines.from.test(lines[at] ?? '')) return false;
  const block = lines.slice(at + 1, at + copiedHeaderLinesMax);
  const sentIndex = block.findIndex((line) => headerLines.sent.test(line));
  return (
    sentIndex >= 0 &&
    timeOfDay.test(`${block[sentIndex]} ${block[sentIndex + 1] ?? ''}`) &&
    block.some((line) => headerLines.to.test(line)) &&
    block.some((line) => headerLines.subject.test(line))
  );
}

/** Longer than any attribution: two dates and two addresses. */
const attributionLengthMax = 400;

/**
 * Counts the lines of the attribution that starts here; 0 when there is none. Programs often break it before its last
 * word.
 */
function countAttributionLines(lines: readonly string[], at: number): number {
  const count = [1, 2, 3].find((each) => isAttribution(lines.slice(at, at + each))) ?? 0;
  // In some languages an attribution starts with a date or a name, so it can match one line too early.
  return isAttribution(lines.slice(at + 1, at + count)) ? 0 : count;
}

function isAttribution(lines: readonly string[]): boolean {
  const sentence = lines.map((line) => line.trim()).join(' ');
  // A person can write "On Monday the board wrote:". A program adds the time of day or the address.
  const isMachineWritten = timeOfDay.test(sentence) || sentence.includes('@');
  return (
    isMachineWritten &&
    sentence.length <= attributionLengthMax &&
    attributionPatterns.some((pattern) => pattern.test(sentence))
  );
}

function isQuoted(lines: readonly string[], from: number): boolean {
  return /^ {0,3}>/.test(lines.slice(from, from + 4).find((line) => line.trim() !== '') ?? '');
}
