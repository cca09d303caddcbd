import type { Markup } from './html.ts';
import { html } from './html.ts';
import type { Sentence } from './say.ts';
import { graphemes, linesOf, shortened } from './say.ts';

/** A mail as it goes out: the same letter twice, for those who read text and for those who see it laid out. */
export type Mail = { readonly subject: string; readonly text: string; readonly html: string };

/** A piece of a letter. Text and HTML are made from the same pieces, so that they cannot say different things. */
export type Block =
  | { readonly is: 'paragraph'; readonly text: Sentence }
  | { readonly is: 'heading'; readonly text: Sentence }
  | { readonly is: 'facts'; readonly rows: readonly Row[] }
  | { readonly is: 'list'; readonly items: readonly Row[] }
  /** The words of somebody else, said to be so: `whose` names them and ends with a colon. */
  | { readonly is: 'quote'; readonly whose: Sentence; readonly words: string }
  /** To be copied, completed and sent back. Lines are not broken, and what the reader wrote in an earlier mail is not marked. */
  | { readonly is: 'form'; readonly fields: readonly { readonly label: Sentence; readonly value: Sentence | string }[] }
  | { readonly is: 'code'; readonly whatFor: Sentence; readonly code: string }
  /** The one thing to do. The address is printed as well, for those who look before they click, if `shown`. */
  | { readonly is: 'action'; readonly label: Sentence; readonly url: string; readonly shown: boolean };

export type Row = { readonly label: Sentence; readonly value: Sentence };

export type Content = {
  /** Without the number of the request, which every subject ends with. */
  readonly subject: Sentence;
  /** What an inbox shows beside the subject. */
  readonly preheader: Sentence;
  readonly title: Sentence;
  readonly blocks: readonly Block[];
  /** Why this reader gets this mail. */
  readonly because: Sentence;
};

export function paragraph(text: Sentence): Block {
  return { is: 'paragraph', text };
}

export function heading(text: Sentence): Block {
  return { is: 'heading', text };
}

export function quote(whose: Sentence, words: string): Block {
  return { is: 'quote', whose, words };
}

const sender = 'Volume Activation';
/** The longest subject, in UTF-16 code units. Ours are shorter unless a name in them is very long. */
const longestSubject = 150;
/** Columns of the text part: what every mail program shows without breaking lines once more. */
const columns = 72;

/**
 * Lays a letter out as a mail: its subject ends with the reference, so that a long name cannot push that out, and it
 * begins with the greeting. Nothing here can break a header: a sentence has no line ends and no control characters.
 */
export function layOut(content: Content, greeting: Sentence, reference: Sentence): Mail {
  const end = ` (${reference})`;
  // The isolates that keep a name of the other direction in its place are for running text; a header needs none.
  const subject = shortened(`${content.subject}`.replace(/[\u2068\u2069]/g, ''), longestSubject - end.length) + end;
  return { subject, text: textOf(content, greeting), html: htmlOf(content, greeting, subject).toString() };
}

function textOf({ blocks, because }: Content, greeting: Sentence): string {
  const parts = [
    wrapped(greeting.text).join('\n'),
    ...blocks.map(textOfBlock),
    // What follows this line is a signature: mail programs set it apart, and leave it out of a reply.
    ['-- ', sender, ...wrapped(because.text)].join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

function textOfBlock(block: Block): string {
  switch (block.is) {
    case 'paragraph':
      return wrapped(block.text.text).join('\n');
    case 'heading':
      return `${block.text.text}\n${'-'.repeat(block.text.text.length)}`;
    case 'facts':
      return block.rows.flatMap(({ label, value }) => wrapped(`${label}: ${value}`, '  ', '    ')).join('\n');
    case 'list':
      return block.items.flatMap(({ label, value }) => wrapped(`${label}: ${value}`, '- ', '  ')).join('\n');
    case 'quote':
      // Every line is marked, and none is so long that a program would break it and show its rest without the mark.
      return [...wrapped(block.whose.text), '', ...linesOf(block.words).flatMap((line) => wrapped(line, '> '))].join(
        '\n',
      );
    case 'form':
      return block.fields.map(({ label, value }) => `${label}: ${linesOfValue(value).join('\n')}`.trimEnd()).join('\n');
    case 'code':
      return `${wrapped(`${block.whatFor}:`).join('\n')}\n\n    ${block.code}`;
    case 'action':
      return `${block.label}:\n${block.url}`;
  }
}

function linesOfValue(value: Sentence | string): readonly string[] {
  return typeof value === 'string' ? linesOf(value) : [value.text];
}

/** Breaks text into lines of at most 72 columns, each behind its mark; a word that is longer is broken as well. */
function wrapped(text: string, firstMark = '', mark = firstMark): readonly string[] {
  const room = columns - Math.max(firstMark.length, mark.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => pieces(each, room))) {
    if (line !== '' && line.length + 1 + word.length > room) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines.map((each, index) => `${index === 0 ? firstMark : mark}${each}`.trimEnd());
}

function pieces(word: string, room: number): readonly string[] {
  if (word.length <= room) return [word];
  const made: string[] = [];
  let piece = '';
  for (const { segment } of graphemes.segment(word)) {
    if (piece !== '' && piece.length + segment.length > room) {
      made.push(piece);
      piece = '';
    }
    piece += segment;
  }
  return [...made, piece];
}

const sans = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const mono = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace";
const ink = `${sans};font-size:16px;line-height:1.55;color:#1c2430`;
const dim = `${sans};font-size:14px;line-height:1.5;color:#57606e`;
/** One endless word of somebody else's must not widen the page. */
const breaks = 'overflow-wrap:anywhere;word-break:break-word';

// These cannot stand inline. Where a program drops them, the letter is whole without them, in its light colours.
const style = html`<style>
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  .page { background: #10141a !important; }
  .card { background: #1a2028 !important; border-color: #2c3541 !important; }
  .ink { color: #e9edf2 !important; }
  .dim { color: #a7b2bf !important; }
  .line { border-color: #323c48 !important; }
  .box { background: #222a34 !important; border-color: #3d4957 !important; }
  .button { background: #6cb2ff !important; }
  .button-ink { color: #0a1826 !important; }
  .link { color: #8fc4ff !important; }
}
@media (max-width: 480px) {
  .pad { padding-left: 20px !important; padding-right: 20px !important; }
  .edge { padding: 0 !important; }
  .card { border-left: 0 !important; border-right: 0 !important; border-radius: 0 !important; }
}
</style>`;

/** Keeps an inbox from showing, after the preheader, how the letter itself begins. */
const filler = Array.from({ length: 80 }, () => html`&#847;&#160;`);

function htmlOf({ preheader, title, blocks, because }: Content, greeting: Sentence, subject: string): Markup {
  return html`<!doctype html>
<html lang="en" dir="ltr">
<head>
<meta charset="utf-8" />
<meta name="viewport" content="width=device-width, initial-scale=1" />
<meta name="color-scheme" content="light dark" />
<meta name="supported-color-schemes" content="light dark" />
<meta name="format-detection" content="telephone=no, date=no, address=no, email=no, url=no" />
<meta name="x-apple-disable-message-reformatting" />
<title>${subject}</title>
${style}
</head>
<body class="page" style="margin:0;padding:0;background:#eef1f4">
<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px">${preheader.text}${filler}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#eef1f4">
<tr><td class="edge" align="center" style="padding:24px 12px">
<!--[if mso]><table role="presentation" width="600" align="center"><tr><td><![endif]-->
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;table-layout:fixed;background:#ffffff;border:1px solid #d9dfe6;border-radius:10px;text-align:left">
<tr><td class="pad" style="padding:26px 32px 0">
<p class="dim" style="margin:0 0 6px;${dim};font-weight:600;letter-spacing:0.02em">${sender}</p>
<h1 class="ink" style="margin:0 0 20px;${ink};font-size:23px;line-height:1.3;font-weight:700;${breaks}">${title.text}</h1>
${htmlOfBlock(paragraph(greeting))}
${blocks.map(htmlOfBlock)}
</td></tr>
<tr><td class="pad" style="padding:12px 32px 28px">
<p class="dim line" style="margin:0;padding:16px 0 0;border-top:1px solid #e3e8ed;${dim};font-size:13px;${breaks}">${because.text}</p>
</td></tr>
</table>
<!--[if mso]></td></tr></table><![endif]-->
</td></tr>
</table>
</body>
</html>
`;
}

function htmlOfBlock(block: Block): Markup {
  switch (block.is) {
    case 'paragraph':
      return html`<p class="ink" style="margin:0 0 16px;${ink};${breaks}">${block.text.text}</p>`;
    case 'heading':
      return html`<h2 class="ink" style="margin:28px 0 10px;${ink};font-size:17px;line-height:1.35;font-weight:700">${block.text.text}</h2>`;
    case 'facts':
      return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="table-layout:fixed;margin:4px 0 20px">
${block.rows.map(
  ({ label, value }) => html`<tr>
<td class="dim line" width="36%" valign="top" style="width:36%;padding:8px 12px 8px 0;border-top:1px solid #e3e8ed;${dim};line-height:1.5">${label.text}</td>
<td class="ink line" valign="top" style="padding:8px 0;border-top:1px solid #e3e8ed;${ink};font-size:15px;line-height:1.5;${breaks}">${value.text}</td>
</tr>`,
)}
</table>`;
    case 'list':
      return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="table-layout:fixed;margin:0 0 12px">
${block.items.map(
  ({ label, value }) => html`<tr>
<td class="dim" width="20" valign="top" style="width:20px;padding:0 0 10px;${ink};color:#57606e">&#8226;</td>
<td class="ink" valign="top" style="padding:0 0 10px;${ink};${breaks}"><strong>${label.text}:</strong> ${value.text}</td>
</tr>`,
)}
</table>`;
    case 'quote':
      return html`<p class="dim" style="margin:0 0 6px;${dim};${breaks}">${block.whose.text}</p>
<blockquote class="box" dir="auto" style="margin:0 0 20px;padding:10px 14px;background:#f5f7f9;border-left:4px solid #c2ccd6;overflow:hidden">
${linesOf(block.words).map((line) => html`<div class="ink" dir="auto" style="${ink};font-size:15px;min-height:1.5em;${breaks}">${line}</div>`)}
</blockquote>`;
    case 'form':
      return html`<div class="box" style="margin:4px 0 20px;padding:12px 16px;background:#f5f7f9;border:1px solid #d9dfe6;border-radius:8px">
${block.fields.map(
  ({ label, value }) =>
    html`<div class="ink" dir="auto" style="${ink};font-size:15px;padding:3px 0;${breaks}"><strong>${label.text}:</strong> ${linesOfValue(value).map((line, index) => (index === 0 ? html`${line}` : html`<br />${line}`))}</div>`,
)}
</div>`;
    case 'code':
      return html`<table role="presentation" class="box" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:4px 0 16px;background:#f0f5fb;border:1px solid #cfdceb;border-radius:8px">
<tr><td align="center" style="padding:14px 16px 16px">
<p class="dim" style="margin:0 0 4px;${dim}">${block.whatFor.text}</p>
<p class="ink" style="margin:0;${mono};font-size:30px;line-height:1.25;font-weight:700;letter-spacing:0.2em;padding-left:0.2em;color:#1c2430">${block.code}</p>
</td></tr>
</table>`;
    case 'action':
      return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:4px 0 16px">
<tr><td class="button" align="center" bgcolor="#0b5cad" style="background:#0b5cad;border-radius:8px">
<a class="button-ink" href="${block.url}" style="display:block;padding:14px 20px;${sans};font-size:17px;line-height:1.3;font-weight:600;color:#ffffff;text-decoration:none">${block.label.text}</a>
</td></tr>
</table>
${block.shown ? [html`<p class="dim" style="margin:0 0 16px;${dim};font-size:13px;word-break:break-all">If the button does not work, open this address:<br /><a class="link" href="${block.url}" style="color:#0b5cad">${block.url}</a></p>`] : []}`;
  }
}
