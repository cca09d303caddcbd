import { compile } from 'html-to-text';
import { MailParser } from 'mailparser';
import { normalizeEmail } from '../../domain/agreement.ts';

/** What is read of a mail. Attachments are not. */
export type ReadMail = {
  /** The one address that it says it is from; null where it names none, several, or one in a way that can be read in two. */
  readonly from: string | null;
  readonly subject: string;
  readonly text: string;
  /** Whether a machine wrote it: an answer to it could be answered, and so on without end. */
  readonly isAutomatic: boolean;
  /** What stays the same however often the mail is delivered, for a fingerprint: each delivery adds lines of its own. */
  readonly identity: readonly string[];
};

/*
 * Bounds, so that no mail costs more than about a second and 300 MB. A form is a few kilobytes of text; the rest is for
 * pictures in signatures, long histories and attachments, which many send along.
 */

/** As large as common mail systems let a mail be. Attachments pass through unread and unkept. */
export const largestMailBytes = 10 * 1024 * 1024;
/** As many as the largest mail has when it is all attachment; each line costs much more than its bytes. */
const mostLines = 200_000;
/** Real headers have a few kilobytes, with the stamps of every system that the mail went through. */
const largestHeadBytes = 128 * 1024;
/** Parts of a mail: text, the same laid out, pictures, attachments. */
const mostParts = 100;
/** Laid-out text, read only where there is no plain one. Its parser’s time grows with the square of what is nested. */
const longestHtml = 256 * 1024;
const mostTags = 20_000;
const deepestTag = 100;

/**
 * Reads a mail as it came over the wire, whatever its encodings and character sets. Answers `unreadable` for one that is
 * beyond the bounds; a mail that is only broken is read as far as it can be.
 */
export async function readMail(raw: Buffer): Promise<ReadMail | 'unreadable'> {
  if (raw.length > largestMailBytes || linesOf(raw) > mostLines) return 'unreadable';
  const parts = await partsOf(raw);
  if (parts === undefined) return 'unreadable';
  const headers = headersFrom(parts.headers);
  const from = soleAddress(headers);
  const subject = parts.subject.replace(/\s+/g, ' ').trim();
  const text = parts.text.trim() === '' ? textOf(parts.html) : parts.text;
  return {
    from,
    subject,
    text,
    isAutomatic: isAutomatic(headers, from),
    identity: [from ?? '', ...(headers('message-id') ?? []), ...(headers('date') ?? []), subject, text],
  };
}

/** The header of a mail alone, for one whose body is more than is read. */
export function headOf(raw: Buffer): Buffer {
  const [head = ''] = raw
    .subarray(0, largestHeadBytes)
    .toString('latin1')
    .split(/\r?\n\r?\n/, 1);
  return Buffer.from(`${head}\r\n\r\n`, 'latin1');
}

function linesOf(raw: Buffer): number {
  let lines = 0;
  for (let at = raw.indexOf(10); at >= 0; at = raw.indexOf(10, at + 1)) lines += 1;
  return lines;
}

type Line = { readonly key: string; readonly line: string };
type Parts = {
  readonly headers: readonly Line[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
};

/** Takes a mail apart; `undefined` when it has more parts, or a longer header, than mails have. */
function partsOf(raw: Buffer): Promise<Parts | undefined> {
  return new Promise((resolve) => {
    const parser = new MailParser({
      maxHeadSize: largestHeadBytes,
      maxChildNodes: mostParts,
      // A mail inside the mail is somebody else's words.
      ignoreEmbedded: true,
      keepDeliveryStatus: true,
      skipHtmlToText: true,
      skipTextToHtml: true,
      skipTextLinks: true,
      skipImageLinks: true,
      checksumAlgo: false,
    });
    parser.on('error', () => resolve(undefined));
    parser.on('data', (part) => {
      if (part.type === 'attachment') {
        part.content.once('end', () => part.release?.());
        part.content.resume();
        return;
      }
      const { headerLines, subject } = parser;
      resolve({
        headers: headerLines === false ? [] : headerLines,
        subject: typeof subject === 'string' ? subject : '',
        text: part.text ?? '',
        html: part.html ?? '',
      });
    });
    parser.end(raw);
  });
}

/** Looks up the values of a header by its name in small letters; `undefined` where the mail does not have it. */
type Headers = (name: string) => readonly string[] | undefined;

function headersFrom(lines: readonly Line[]): Headers {
  const values = Map.groupBy(
    lines.map(({ key, line }) => ({
      // Whatever could pass for the name in another program's eyes counts as that name.
      name: key.toLowerCase().replace(/[^a-z0-9-]/g, ''),
      value: line
        .slice(line.indexOf(':') + 1)
        .replace(/\r?\n/g, '')
        .trim(),
    })),
    ({ name }) => name,
  );
  return (name) => values.get(name)?.map(({ value }) => value);
}

const word = '[^\\s<>@"(),;:\\\\]+';
/** A bare address, or one in angle brackets behind a name: quoted, or without any mark that has a meaning of its own. */
const oneMailbox = new RegExp(`^(?:(?:"(?:[^"\\\\]|\\\\.)*"|[^"<>@,;:()\\\\])*<(${word}@${word})>|(${word}@${word}))$`);

/**
 * The address of the sender. SPF, DKIM and DMARC vouched for the one that SES read in the header `From`: a header that is
 * there twice, or that two programs could read differently, names nobody.
 */
function soleAddress(headers: Headers): string | null {
  const [from, ...more] = headers('from') ?? [];
  if (from === undefined || more.length > 0 || from.length > 1_000) return null;
  const [, bracketed, bare] = oneMailbox.exec(from) ?? [];
  const address = bracketed ?? bare;
  return address === undefined ? null : normalizeEmail(address);
}

/**
 * Whether a machine sent it: an automatic answer, a report that a mail could not be delivered, or a mail to a list
 * (RFC 3834 and what common programs write in its place).
 */
function isAutomatic(headers: Headers, from: string | null): boolean {
  const says = (name: string, pattern: RegExp) => headers(name)?.some((value) => pattern.test(value)) ?? false;
  return (
    says('auto-submitted', /^(?!no\b)/i) ||
    says('precedence', /\b(?:bulk|list|junk|auto[_-]reply)\b/i) ||
    says('x-auto-response-suppress', /\b(?:all|oof|autoreply)\b/i) ||
    says('return-path', /^<\s*>$/) ||
    says('content-type', /^multipart\/report\b/i) ||
    ['list-id', 'list-post', 'list-unsubscribe', 'x-autoreply', 'x-autorespond', 'x-autoresponder'].some(
      (name) => headers(name) !== undefined,
    ) ||
    /^(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)(?:[+.-].*)?@/.test(from ?? '')
  );
}

/** Lays out text as lines: no links, no pictures; a quotation is marked as in plain text, and a cell ends with a tab. */
const linesFrom = compile({
  wordwrap: false,
  limits: { maxDepth: deepestTag, ellipsis: '' },
  formatters: {
    cell: (element, walk, builder) => {
      walk(element.children, builder);
      builder.addLiteral('\t');
    },
  },
  selectors: [
    { selector: 'a', options: { ignoreHref: true } },
    { selector: 'img', format: 'skip' },
    { selector: 'p', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    { selector: 'tr', format: 'block', options: { leadingLineBreaks: 1, trailingLineBreaks: 1 } },
    { selector: 'td', format: 'cell' },
    { selector: 'th', format: 'cell' },
    ...['h1', 'h2', 'h3', 'h4', 'h5', 'h6'].map((selector) => ({ selector, options: { uppercase: false } })),
  ],
});

function textOf(html: string): string {
  if (html.length > longestHtml || (html.match(/</g)?.length ?? 0) > mostTags) return '';
  return linesFrom(html);
}
