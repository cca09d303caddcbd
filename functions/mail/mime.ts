import { compile } from 'html-to-text';
import { MailParser } from 'mailparser';
import { normalizeEmail } from '../../domain/agreement.ts';

/** The parts of an email that the service reads. It never reads attachments. */
export type ParsedMessage = {
  /** The address in the header `From`. Null if there is none, if there are several, or if it is ambiguous. */
  readonly from: string | null;
  readonly subject: string;
  readonly text: string;
  /** True for automatic email: a reply could be answered automatically in turn, without end. */
  readonly isAutomatic: boolean;
  /** The values that every copy of the email shares, for a fingerprint. Each delivery adds header lines of its own. */
  readonly identity: readonly string[];
};

/*
 * These limits keep the cost of an email below about one second and 300 MB. A form takes a few kilobytes. The rest allows
 * for what many senders add: pictures in signatures, long quoted conversations, and attachments.
 */

/** The limit of common mail servers. Attachments count toward it, but are neither read nor stored. */
export const mailBytesMax = 10 * 1024 * 1024;
/** The number of lines in an attachment of the maximum size. A line costs much more than its bytes. */
const mailLinesMax = 200_000;
/** A real header has a few kilobytes, including the lines of every server on the way. */
const mailHeaderBytesMax = 128 * 1024;
/** The parts are the plain text, the HTML, pictures, and attachments. */
const mailPartsMax = 100;
/** HTML is read only if there is no plain text. The time of the parser grows with the square of the nesting depth. */
const htmlCharactersMax = 256 * 1024;
const htmlTagsMax = 20_000;
const htmlDepthMax = 100;

/**
 * Parses a raw email in any encoding and character set. Returns `unreadable` if it exceeds a limit. Reads a malformed
 * email as far as possible.
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

/** Returns only the header of a raw email, for one whose body is too large. */
export function messageHeaderOf(raw: Buffer): Buffer {
  const [head = ''] = raw
    .subarray(0, mailHeaderBytesMax)
    .toString('latin1')
    .split(/\r?\n\r?\n/, 1);
  return Buffer.from(`${head}\r\n\r\n`, 'latin1');
}

function countLines(raw: Buffer): number {
  let lines = 0;
  for (let index = raw.indexOf(10); index >= 0; index = raw.indexOf(10, index + 1)) lines += 1;
  return lines;
}

type HeaderLine = { readonly key: string; readonly line: string };
type MessageParts = {
  readonly headers: readonly HeaderLine[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
};

/** Parses the parts of an email. Resolves to `undefined` if it has too many parts or too long a header. */
function parseParts(raw: Buffer): Promise<MessageParts | undefined> {
  return new Promise((resolve) => {
    const parser = new MailParser({
      maxHeadSize: mailHeaderBytesMax,
      maxChildNodes: mailPartsMax,
      // An attached email is the text of somebody else.
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

/** Returns the values of a header by its lower-case name; `undefined` if the email does not have it. */
type HeaderLookup = (name: string) => readonly string[] | undefined;

function indexHeaders(lines: readonly HeaderLine[]): HeaderLookup {
  const values = Map.groupBy(
    lines.map(({ key, line }) => ({
      // Other programs may ignore these characters, so a name that contains them counts as the name without them.
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
/** A bare address, or one in angle brackets after a display name that is quoted or has no special characters. */
const singleMailbox = new RegExp(
  `^(?:(?:"(?:[^"\\\\]|\\\\.)*"|[^"<>@,;:()\\\\])*<(${addressAtom}@${addressAtom})>|(${addressAtom}@${addressAtom}))$`,
);

/**
 * Returns the address of the sender. SPF, DKIM, and DMARC verify the address that SES read from the header `From`. So a
 * header that is present twice, or that two programs could read differently, counts as no sender.
 */
function singleSender(headers: HeaderLookup): string | null {
  const [from, ...others] = headers('from') ?? [];
  if (from === undefined || others.length > 0 || from.length > 1_000) return null;
  const [, bracketedAddress, bareAddress] = singleMailbox.exec(from) ?? [];
  const address = bracketedAddress ?? bareAddress;
  return address === undefined ? null : normalizeEmail(address);
}

/**
 * Tells whether an email is automatic: an automatic reply, a delivery report, or a mailing-list message. It checks for the
 * headers of RFC 3834 and for those that common programs use instead.
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

/** Converts HTML to lines without links and pictures. Quotations look as in plain text, and a table cell ends with a tab. */
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
