/**
 * A sentence that is fit to be sent: ours, with what others wrote made harmless inside it. Only `say` makes one, and a
 * letter takes nothing else, so that no name and no reason gets into a mail as it came.
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

/** The longest piece of somebody else's text that fits inside a sentence of ours, in UTF-16 code units. */
const insertedLengthMax = 120;

/**
 * Writes a sentence of ours. A string that is put into it is taken for somebody else's: it becomes one line of bounded
 * length, without control characters, changes of direction, or anything that a mail program would turn into a link.
 * Numbers are written as people read them (1,200); sentences go in as they are.
 */
export function say(strings: TemplateStringsArray, ...values: readonly (string | number | Sentence)[]): Sentence {
  return new Sentence(
    strings.reduce((before, after, index) => before + renderInserted(values[index - 1] ?? '') + after),
  );
}

/** Sentences, one after the other. */
export function sayAll(sentences: readonly Sentence[]): Sentence {
  return new Sentence(sentences.map(({ text }) => text).join(' '));
}

/** An e-mail address that may stay one in a mail; whatever is not a plain one is treated as any other text. */
export function sayAddress(email: string): Sentence {
  return /^[\w.+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$/.test(email) && email.length <= 254
    ? new Sentence(email)
    : say`${email}`;
}

/**
 * What somebody wrote at length, as lines that can be quoted: each without control characters, changes of direction and
 * links, with no more than one empty line at a time. At least one line.
 */
export function linesOf(text: string): readonly string[] {
  return defuseLinks(sanitize(text))
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+|\n+$/g, '')
    .split('\n');
}

/** Cuts text to at most so many UTF-16 code units, between whole characters as people see them, and shows that it did. */
export function truncate(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  let result = '';
  for (const { segment } of graphemeSegmenter.segment(text)) {
    if (result.length + segment.length >= lengthMax) break;
    result += segment;
  }
  return `${result.trimEnd()}…`;
}

/** The characters of a text, as people see them. */
export const graphemeSegmenter = new Intl.Segmenter('en', { granularity: 'grapheme' });

function renderInserted(value: string | number | Sentence): string {
  if (typeof value === 'number') return value.toLocaleString('en-US');
  if (typeof value === 'object') return value.text;
  const line = defuseLinks(truncate(sanitize(value).replace(/\s+/g, ' ').trim(), insertedLengthMax));
  // A name that is written from right to left must not turn round the words and numbers that stand beside it.
  return rightToLeft.test(line) ? `\u2068${line}\u2069` : line;
}

const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const lineEnds = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g;
/** Spaces, and what looks like one: a long row of them could push words to where ours should stand. */
const blanks = /[\p{Zs}\t\u2800]+/gu;
/**
 * What nobody sees: control and format characters, and all that is left out when shown. Joiners and variation selectors
 * stay, since emoji, Persian, the Indic scripts and some ideographs are written with them.
 */
const invisibleCharacters =
  /[[\p{Cc}\p{Cf}\p{Co}\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]--[\n\t\u200c\u200d\ufe00-\ufe0f\u{e0100}-\u{e01ef}]]/gv;
/** More marks on one letter than any language writes: they would cover the lines above and below. */
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
 * Breaks whatever a mail program would make a link of: addresses of the web and of e-mail, and paths to other machines.
 * The brackets are seen, and meant to be: nobody shall wonder why the link does not work.
 */
function defuseLinks(text: string): string {
  return text
    .replace(/:(?=\/\/)|(?<=\b(?:mailto|tel|sms)):/gi, '[:]')
    .replace(/(?<=\S)\.(?=\p{L}(?:[\p{L}\p{M}\p{N}-]|\u200c|\u200d))/gu, '[.]')
    .replace(/\\{2}/g, '[\\\\]');
}
