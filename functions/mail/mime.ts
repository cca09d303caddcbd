import { compile } from 'html-to-text';
import { MailParser } from 'mailparser';
import { normalizeEmail } from '../../domain/agreement.ts';

/** What is read of a mail. Attachments are not. */
export type ParsedMessage = {
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
export const mailBytesMax = 10 * 1024 * 1024;
/** As many as the largest mail has when it is all attachment; each line costs much more than its bytes. */
const mailLinesMax = 200_000;
/** Real headers have a few kilobytes, with the stamps of every system that the mail went through. */
const mailHeaderBytesMax = 128 * 1024;
/** Parts of a mail: text, the same laid out, pictures, attachments. */
const mailPartsMax = 100;
/** Laid-out text, read only where there is no plain one. Its parser’s time grows with the square of what is nested. */
const htmlCharactersMax = 256 * 1024;
const htmlTagsMax = 20_000;
const htmlDepthMax = 100;

/**
 * Reads a mail as it came over the wire, whatever its encodings and character sets. Answers `unreadable` for one that is
 * beyond the bounds; a mail that is only broken is read as far as it can be.
 */
export async function parseMessage(raw: Buffer): Promise<ParsedMessage | 'unreadable'> {
  if (raw.length > mailBytesMax || countLines(raw) > mailLinesMax) return 'unreadable';
  const parts = await parseParts(raw);
  if (parts === undefined) return 'unreadable';
  const headers = indexHeaders(parts.headers);
  const from = singleSender(headers);
  const subject = parts.subject.replace(/\s+/g, ' ').trim();
  const text = parts.text.trim() === '' ? textFromHtml(parts.html) : parts.text;
  return {
    from,
    subject,
    text,
    isAutomatic: isAutomatic(headers, from),
    identity: [from ?? '', ...(headers('message-id') ?? []), ...(headers('date') ?? []), subject, text],
  };
}

/** The header of a mail alone, for one whose body is more than is read. */
export function messageHeaderOf(raw: Buffer): Buffer {
  const [head = ''] = raw
    .subarray(0, mailHeaderBytesMax)
    .toString('latin1')
    .split(/\r?\n\r?\n/, 1);
  return Buffer.from(`${head}\r\n\r\n`, 'latin1');
}

function countLines(raw: Buffer): number {
  let lines = 0;
  for (let at = raw.indexOf(10); at >= 0; at = raw.indexOf(10, at + 1)) lines += 1;
  return lines;
}

type HeaderLine = { readonly key: string; readonly line: string };
type MessageParts = {
  readonly headers: readonly HeaderLine[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
};

/** Takes a mail apart; `undefined` when it has more parts, or a longer header, than mails have. */
function parseParts(raw: Buffer): Promise<MessageParts | undefined> {
  return new Promise((resolve) => {
    const parser = new MailParser({
      maxHeadSize: mailHeaderBytesMax,
      maxChildNodes: mailPartsMax,
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
type HeaderLookup = (name: string) => readonly string[] | undefined;

function indexHeaders(lines: readonly HeaderLine[]): HeaderLookup {
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

const addressAtom = '[^\\s<>@"(),;:\\\\]+';
/** A bare address, or one in angle brackets behind a name: quoted, or without any mark that has a meaning of its own. */
const singleMailbox = new RegExp(
  `^(?:(?:"(?:[^"\\\\]|\\\\.)*"|[^"<>@,;:()\\\\])*<(${addressAtom}@${addressAtom})>|(${addressAtom}@${addressAtom}))$`,
);

/**
 * The address of the sender. SPF, DKIM and DMARC vouched for the one that SES read in the header `From`: a header that is
 * there twice, or that two programs could read differently, names nobody.
 */
function singleSender(headers: HeaderLookup): string | null {
  const [from, ...others] = headers('from') ?? [];
  if (from === undefined || others.length > 0 || from.length > 1_000) return null;
  const [, bracketedAddress, bareAddress] = singleMailbox.exec(from) ?? [];
  const address = bracketedAddress ?? bareAddress;
  return address === undefined ? null : normalizeEmail(address);
}

/**
 * Whether a machine sent it: an automatic answer, a report that a mail could not be delivered, or a mail to a list
 * (RFC 3834 and what common programs write in its place).
 */
function isAutomatic(headers: HeaderLookup, from: string | null): boolean {
  const matches = (name: string, pattern: RegExp) => headers(name)?.some((value) => pattern.test(value)) ?? false;
  return (
    matches('auto-submitted', /^(?!no\b)/i) ||
    matches('precedence', /\b(?:bulk|list|junk|auto[_-]reply)\b/i) ||
    matches('x-auto-response-suppress', /\b(?:all|oof|autoreply)\b/i) ||
    matches('return-path', /^<\s*>$/) ||
    matches('content-type', /^multipart\/report\b/i) ||
    ['list-id', 'list-post', 'list-unsubscribe', 'x-autoreply', 'x-autorespond', 'x-autoresponder'].some(
      (name) => headers(name) !== undefined,
    ) ||
    /^(?:mailer-daemon|postmaster|no-?reply|do-?not-?reply|bounces?)(?:[+.-].*)?@/.test(from ?? '')
  );
}

/** Lays out text as lines: no links, no pictures; a quotation is marked as in plain text, and a cell ends with a tab. */
const convertHtml = compile({
  wordwrap: false,
  limits: { maxDepth: htmlDepthMax, ellipsis: '' },
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

function textFromHtml(html: string): string {
  if (html.length > htmlCharactersMax || (html.match(/</g)?.length ?? 0) > htmlTagsMax) return '';
  return convertHtml(html);
}
