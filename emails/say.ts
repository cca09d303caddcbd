/**
 * A sentence that is safe to send: our own words, with text from others made harmless inside them. Only `say` creates
 * one, and emails accept nothing else, so that no name and no reason reaches an email unescaped.
 */
class Sentence {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toString(): string {
    return this.text;
  }
}

export type { Sentence };

/** The longest text from others inside one of our sentences, in UTF-16 code units. */
const insertedLengthMax = 120;

/**
 * Creates a sentence. A string inserted into it counts as text from others: it becomes one line of bounded length,
 * without control characters, direction changes, or anything that an email program turns into a link. Numbers get
 * separators (1,200), and sentences are inserted unchanged.
 */
export function say(strings: TemplateStringsArray, ...values: readonly (string | number | Sentence)[]): Sentence {
  return new Sentence(
    strings.reduce((before, after, index) => before + renderInserted(values[index - 1] ?? '') + after),
  );
}

/** Joins sentences with spaces. */
export function sayAll(sentences: readonly Sentence[]): Sentence {
  return new Sentence(sentences.map(({ text }) => text).join(' '));
}

/**
 * Creates a sentence from an email address, which stays an address if it is a plain one. Anything else is text from
 * others.
 */
export function sayAddress(email: string): Sentence {
  return /^[\w.+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(email) && email.length <= 254
    ? new Sentence(email)
    : say`${email}`;
}

/**
 * Returns a long text from others as lines that can be quoted: without control characters, direction changes, and
 * links, with at most one empty line at a time. Returns at least one line.
 */
export function linesOf(text: string): readonly string[] {
  return defuseLinks(sanitize(text))
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+|\n+$/g, '')
    .split('\n');
}

/**
 * Cuts text to at most `lengthMax` UTF-16 code units, never inside a visible character, and marks the cut with an
 * ellipsis.
 */
export function truncate(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  let result = '';
  for (const { segment } of graphemeSegmenter.segment(text)) {
    if (result.length + segment.length >= lengthMax) break;
    result += segment;
  }
  return `${result.trimEnd()}…`;
}

/** Splits text into visible characters. */
export const graphemeSegmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

function renderInserted(value: string | number | Sentence): string {
  if (typeof value === 'number') return value.toLocaleString('en-US');
  if (typeof value === 'object') return value.text;
  const line = defuseLinks(truncate(sanitize(value).replace(/\s+/g, ' ').trim(), insertedLengthMax));
  // A right-to-left name must not reverse the words and numbers beside it.
  return rightToLeft.test(line) ? `\u2068${line}\u2069` : line;
}

const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const lineEnds = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g;
/** Spaces and characters that look like one. A long row of them could push text to where our own words belong. */
const blanks = /[\p{Zs}\t\u2800]+/gu;
/**
 * Invisible characters: control and format characters, and all that is left out when displayed. Joiners and variation
 * selectors stay, because emoji, Persian, the Indic scripts, and some ideographs need them.
 */
const invisibleCharacters =
  /[[\p{Cc}\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]--[\n\t\u200c\u200d\ufe00-\ufe0f\u{e0100}-\u{e01ef}]]/gv;
/** More combining marks on one character than any language uses. They would cover the lines above and below. */
const stackedMarks = /((?:\p{M}|\u200c|\u200d){4})(?:\p{M}|\u200c|\u200d)+/gu;

function sanitize(text: string): string {
  return text
    .toWellFormed()
    .normalize('NFC')
    .replace(lineEnds, '\n')
    .replace(invisibleCharacters, '')
    .replace(blanks, ' ')
    .replace(/ ?\n ?/g, '\n')
    .replace(stackedMarks, '$1');
}

/**
 * Breaks anything that an email program would turn into a link: web and email addresses, and paths to other machines.
 * The brackets are visible on purpose, so that nobody wonders why the link does not work.
 */
function defuseLinks(text: string): string {
  return text
    .replace(/:(?=\/\/)|(?<=\b(?:mailto|tel|sms)):/gi, '[:]')
    .replace(/(?<=\S)\.(?=\p{L}(?:[\p{L}\p{M}\p{N}-]|\u200c|\u200d))/gu, '[.]')
    .replace(/\\{2}/g, '[\\\\]');
}
