import { maskProductKeys } from '../keys/product-key.ts';

/** What somebody wrote in a mail, and whether there was more in it that was somebody's before: quoted, or its history. */
export type ReplyText = { readonly text: string; readonly quotedTextRemoved: boolean };

/** Nobody writes more lines by hand; what is below them is history, or meant to keep us busy. */
const lineCountMax = 20_000;

/**
 * Takes from the text of a mail what its sender wrote in it (EXC-13, EXC-14): without quoted lines, without the history
 * that mail programs put below an answer, and without a signature. Answers below a quotation are kept as well as those
 * above one. Lines end with `\n`; characters that nobody sees are gone, and of a whole product key only the last five
 * symbols are left, since a key is a secret (KEY-6).
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
    // The mark of a signature (RFC 3676); many programs cut off its space.
    if (/^-- ?$/.test(line)) break;
    if (dividerPattern.test(line) || isCopiedHeaderStart(lines, at)) {
      quotedTextRemoved = true;
      break;
    }
    const attribution = countAttributionLines(lines, at);
    if (attribution > 0) {
      quotedTextRemoved = true;
      // Quoted with marks, the quotation ends where the marks do; without them, everything that follows is older.
      if (!isQuoted(lines, at + attribution)) break;
      at += attribution - 1;
      continue;
    }
    // An empty line is just that; a tab alone is the end of a cell.
    replyLines.push(line.trim() !== '' ? line : line.includes('\t') ? '\t' : '');
  }
  // At the end, with the rule that some programs draw above the history.
  while (/^\s*$|^ ?[_-]{5,}$/.test(replyLines.at(-1) ?? 'none')) replyLines.pop();
  const text = replyLines
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .replace(/^\n+/, '');
  return { text: maskProductKeys(text), quotedTextRemoved };
}

/** The text as a person sees it: one kind of line end and of space, and nothing that shows no mark. */
function normalizeText(text: string): string {
  return (
    text
      .toWellFormed()
      .replace(/\r\n?|[\u0085\u2028\u2029\v\f]/g, '\n')
      .replace(/[^\P{Zs} ]/gu, ' ')
      // Control characters, marks that turn the direction of a text, soft hyphens and what is as wide as nothing. Joiners
      // stay: Persian and emoji are written with them.
      .replace(/[^\P{Cc}\n\t]|[\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff]/gu, '')
  );
}

/** The line that many programs put between an answer and what it answers, or above what they pass on. */
const dividerPattern = new RegExp(
  `^ *[-_*=]{2,} *(?:${[
    'original message',
    'original appointment',
    'forwarded message',
    'ursprüngliche nachricht',
    'originalnachricht',
    'weitergeleitete nachricht',
    "message d['’]origine",
    'message original',
    'message transféré',
    'mensaje original',
    'mensaje reenviado',
    'mensagem original',
    'mensagem encaminhada',
    'messaggio originale',
    'messaggio inoltrato',
    'oorspronkelijk bericht',
    'doorgestuurd bericht',
    'ursprungligt meddelande',
    'oprindelig meddelelse',
    'opprinnelig melding',
    'alkuperäinen viesti',
    'wiadomość oryginalna',
    'původní zpráva',
    'исходное сообщение',
    '元のメッセージ',
    '原始邮件',
    '原始郵件',
  ].join('|')}) *[-_*=]{2,} *$|^begin forwarded message: *$`,
  'iu',
);

/** The names of the header lines that Outlook and its like copy above the mail that is answered, in the languages of many. */
const headerNames = {
  from: 'from|von|de|da|van|från|fra|od|lähettäjä|от|差出人|发件人|寄件者',
  sent: 'sent|date|gesendet|datum|envoyé|enviado(?: el)?|enviada(?: em)?|fecha|data|inviato|verzonden|skickat|sendt|wysłano|wysłane|odesláno|lähetetty|дата|отправлено|送信日時|日時|发送时间|寄件日期',
  to: 'to|an|à|para|a|aan|till|til|do|komu|vastaanottaja|кому|宛先|收件人|收件者',
  subject: 'subject|betreff|objet|asunto|assunto|oggetto|onderwerp|ämne|emne|temat|předmět|aihe|тема|件名|主题|主旨',
} as const;
type HeaderName = keyof typeof headerNames;

const headerLine = (name: HeaderName) => new RegExp(`^ *\\*?(?:${headerNames[name]})\\*? *[:：]`, 'iu');
const headerLines = {
  from: headerLine('from'),
  sent: headerLine('sent'),
  to: headerLine('to'),
  subject: headerLine('subject'),
} as const satisfies Record<HeaderName, RegExp>;

/** How many lines such a copied header takes at the most: each of its four parts may be broken once. */
const copiedHeaderLinesMax = 10;
const timeOfDay = /\b\d{1,2}[:.h]\d{2}\b/;

/**
 * Whether a copied header begins here: who sent a mail, when to the minute, to whom and about what. A form has no such
 * lines; somebody who writes "From:" and "Date:" above a form by hand writes no time of day.
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

/** How a program says whose words follow: "On …, … wrote:", in the languages of many. */
const attributionPatterns: readonly RegExp[] = [
  /^on .+ wrote:$/iu,
  /^(?:am|on) .+ schrieb\b.*:$/iu,
  /^le .+ a écrit ?:$/iu,
  /^el .+ escribió:$/iu,
  /^em .+ escreveu:$/iu,
  /^il .+ ha scritto:$/iu,
  /^op .+ schreef\b.*:$/iu,
  /^den .+ skrev\b.*:$/iu,
  /^w dniu .+ napisał(?:\(a\)|a)?:$/iu,
  /^.+ napsal(?:\(a\)|a)?:$/iu,
  /^.+ пишет:$/iu,
  /^.+写道[:：]$/u,
  /^.+のメール[:：]$/u,
];
/** Longer than any of them: two dates and two addresses. */
const attributionLengthMax = 400;

/** How many lines from here are such a sentence: programs break it, often before its last word. Zero where there is none. */
function countAttributionLines(lines: readonly string[], at: number): number {
  const count = [1, 2, 3].find((each) => isAttribution(lines.slice(at, at + each))) ?? 0;
  // In some languages it begins with a date or a name, that is with anything: what stands above it is no part of it.
  return isAttribution(lines.slice(at + 1, at + count)) ? 0 : count;
}

function isAttribution(lines: readonly string[]): boolean {
  const sentence = lines.map((line) => line.trim()).join(' ');
  // Somebody may write "On Monday the board wrote:" in a sentence; a program names the minute or the address.
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
