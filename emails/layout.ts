import type { Markup } from './html.ts';
import { html } from './html.ts';
import type { Sentence } from './say.ts';
import { graphemeSegmenter, linesOf, truncate } from './say.ts';

/** An email ready to send: the same content as plain text and as HTML. */
export type Email = { readonly subject: string; readonly text: string; readonly html: string };

/** A part of an email. Text and HTML are rendered from the same blocks, so that they cannot differ in what they say. */
export type Block =
  | { readonly kind: 'paragraph'; readonly text: Sentence }
  | { readonly kind: 'heading'; readonly text: Sentence }
  | { readonly kind: 'details'; readonly rows: readonly Row[] }
  | { readonly kind: 'list'; readonly items: readonly Row[] }
  /** Text from somebody else, marked as a quotation. The attribution ends with a colon. */
  | { readonly kind: 'quote'; readonly attribution: Sentence; readonly quotedText: string }
  /**
   * A form to copy, complete, and send back. Its lines are not wrapped, and values from the reader's email are not
   * marked as quoted.
   */
  | {
      readonly kind: 'form';
      readonly fields: readonly { readonly label: Sentence; readonly value: Sentence | string }[];
    }
  /**
   * The code for the approval page. The text part has it alone on a line, `Code: 123456`, which programs may rely on.
   */
  | { readonly kind: 'code'; readonly code: string }
  /** The button of the email. With `showUrl` the address is printed too, for readers who check it before they click. */
  | { readonly kind: 'action'; readonly label: Sentence; readonly url: string; readonly showUrl: boolean };

export type Row = { readonly label: Sentence; readonly value: Sentence };

export type EmailContent = {
  /** The subject without the reference that every subject ends with. */
  readonly subject: Sentence;
  /** The text that an inbox shows beside the subject. */
  readonly preheader: Sentence;
  readonly title: Sentence;
  readonly blocks: readonly Block[];
  /** The reason why this reader gets the email. */
  readonly because: Sentence;
};

export function paragraph(text: Sentence): Block {
  return { kind: 'paragraph', text };
}

export function heading(text: Sentence): Block {
  return { kind: 'heading', text };
}

export function quote(attribution: Sentence, quotedText: string): Block {
  return { kind: 'quote', attribution, quotedText };
}

const senderName = 'Volume Activation';
/** The longest subject, in UTF-16 code units. Only a very long name makes one longer, and it is cut. */
const subjectLengthMax = 150;
/** Columns of the text part, which every email program shows without wrapping the lines again. */
const textColumns = 72;

/**
 * Renders an email from its content. The subject ends with the reference, so that a long name cannot push it out.
 * Nothing here can break a header: a sentence has no line ends and no control characters.
 */
export function layOutEmail(content: EmailContent, greeting: Sentence, reference: Sentence): Email {
  const suffix = ` (${reference})`;
  // Isolates keep a right-to-left name apart from the text around it. A header does not need them.
  const subject =
    truncate(`${content.subject}`.replace(/[\u2068\u2069]/g, ''), subjectLengthMax - suffix.length) + suffix;
  return { subject, text: renderText(content, greeting), html: renderHtml(content, greeting, subject).toString() };
}

function renderText({ blocks, because }: EmailContent, greeting: Sentence): string {
  const parts = [
    wrapText(greeting.text).join('\n'),
    ...blocks.map(renderTextBlock),
    // This line starts the signature, which email programs set apart and leave out of a reply.
    ['-- ', senderName, ...wrapText(because.text)].join('\n'),
  ];
  return `${parts.join('\n\n')}\n`;
}

function renderTextBlock(block: Block): string {
  switch (block.kind) {
    case 'paragraph':
      return wrapText(block.text.text).join('\n');
    case 'heading':
      return `${block.text.text}\n${'-'.repeat(block.text.text.length)}`;
    case 'details':
      return block.rows.flatMap(({ label, value }) => wrapText(`${label}: ${value}`, '  ', '    ')).join('\n');
    case 'list':
      return block.items.flatMap(({ label, value }) => wrapText(`${label}: ${value}`, '- ', '  ')).join('\n');
    case 'quote':
      // Every line is marked, and short enough that no program wraps it and shows the rest without the mark.
      return [
        ...wrapText(block.attribution.text),
        '',
        ...linesOf(block.quotedText).flatMap((line) => wrapText(line, '> ')),
      ].join('\n');
    case 'form':
      return block.fields.map(({ label, value }) => `${label}: ${valueLines(value).join('\n')}`.trimEnd()).join('\n');
    case 'code':
      return `Code: ${block.code}`;
    case 'action':
      return `${block.label}:\n${block.url}`;
  }
}

function valueLines(value: Sentence | string): readonly string[] {
  return typeof value === 'string' ? linesOf(value) : [value.text];
}

/** The line of a code block. Text from others in a paragraph must not be able to produce one. */
const codeLine = /^Code: \d+$/;

/** Wraps text into lines of at most 72 columns, each after its prefix. Splits a word that is longer than a line. */
function wrapText(text: string, firstPrefix = '', prefix = firstPrefix): readonly string[] {
  const width = textColumns - Math.max(firstPrefix.length, prefix.length);
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ').flatMap((each) => splitWord(each, width))) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  lines.push(line);
  return lines
    .flatMap((each) => (prefix === '' && codeLine.test(each) ? each.split(' ') : [each]))
    .map((each, index) => `${index === 0 ? firstPrefix : prefix}${each}`.trimEnd());
}

function splitWord(word: string, width: number): readonly string[] {
  if (word.length <= width) return [word];
  const parts: string[] = [];
  let piece = '';
  for (const { segment } of graphemeSegmenter.segment(word)) {
    if (piece !== '' && piece.length + segment.length > width) {
      parts.push(piece);
      piece = '';
    }
    piece += segment;
  }
  return [...parts, piece];
}

const sans = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif";
const mono = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,'Liberation Mono',monospace";
const textStyle = `${sans};font-size:16px;line-height:1.55;color:#1c2430`;
const mutedStyle = `${sans};font-size:14px;line-height:1.5;color:#57606e`;
/** Keeps a very long word in somebody else's text from widening the email. */
const wordBreak = 'overflow-wrap:anywhere;word-break:break-word';

// These rules cannot be inline. An email program that drops them shows the complete email in its light colors.
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

/** Keeps an inbox from showing the beginning of the email after the preheader. */
const preheaderPadding = Array.from({ length: 80 }, () => html`&#847;&#160;`);

function renderHtml({ preheader, title, blocks, because }: EmailContent, greeting: Sentence, subject: string): Markup {
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
<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px">${preheader.text}${preheaderPadding}</div>
<table role="presentation" class="page" width="100%" cellpadding="0" cellspacing="0" border="0" style="background:#eef1f4">
<tr><td class="edge" align="center" style="padding:24px 12px">
<!--[if mso]><table role="presentation" width="600" align="center"><tr><td><![endif]-->
<table role="presentation" class="card" width="100%" cellpadding="0" cellspacing="0" border="0" style="max-width:600px;table-layout:fixed;background:#ffffff;border:1px solid #d9dfe6;border-top:4px solid #16324f;border-radius:10px;text-align:left">
<tr><td class="pad" style="padding:26px 32px 0">
<p class="dim" style="margin:0 0 6px;${mutedStyle};font-weight:700;color:#16324f">${senderName}</p>
<h1 class="ink" style="margin:0 0 20px;${textStyle};font-size:23px;line-height:1.3;font-weight:700;${wordBreak}">${title.text}</h1>
${renderHtmlBlock(paragraph(greeting))}
${blocks.map(renderHtmlBlock)}
</td></tr>
<tr><td class="pad" style="padding:12px 32px 28px">
<p class="dim line" style="margin:0;padding:16px 0 0;border-top:1px solid #e3e8ed;${mutedStyle};font-size:13px;${wordBreak}">${because.text}</p>
</td></tr>
</table>
<!--[if mso]></td></tr></table><![endif]-->
</td></tr>
</table>
</body>
</html>
`;
}

function renderHtmlBlock(block: Block): Markup {
  switch (block.kind) {
    case 'paragraph':
      return html`<p class="ink" style="margin:0 0 16px;${textStyle};${wordBreak}">${block.text.text}</p>`;
    case 'heading':
      return html`<h2 class="ink" style="margin:28px 0 10px;${textStyle};font-size:17px;line-height:1.35;font-weight:700">${block.text.text}</h2>`;
    case 'details':
      return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="table-layout:fixed;margin:4px 0 20px">
${block.rows.map(
  ({ label, value }) => html`<tr>
<td class="dim line" width="32%" valign="top" style="width:32%;padding:8px 12px 8px 0;border-top:1px solid #e3e8ed;${mutedStyle};line-height:1.5">${label.text}</td>
<td class="ink line" valign="top" style="padding:8px 0;border-top:1px solid #e3e8ed;${textStyle};font-size:15px;line-height:1.5;${wordBreak}">${value.text}</td>
</tr>`,
)}
</table>`;
    case 'list':
      return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="table-layout:fixed;margin:0 0 12px">
${block.items.map(
  ({ label, value }) => html`<tr>
<td class="dim" width="20" valign="top" style="width:20px;padding:0 0 10px;${textStyle};color:#57606e">&#8226;</td>
<td class="ink" valign="top" style="padding:0 0 10px;${textStyle};${wordBreak}"><strong>${label.text}:</strong> ${value.text}</td>
</tr>`,
)}
</table>`;
    case 'quote':
      return html`<p class="dim" style="margin:0 0 6px;${mutedStyle};${wordBreak}">${block.attribution.text}</p>
<blockquote class="box" dir="auto" style="margin:0 0 20px;padding:10px 14px;background:#f5f7f9;border-left:4px solid #c2ccd6;overflow:hidden">
${linesOf(block.quotedText).map((line) => html`<div class="ink" dir="auto" style="${textStyle};font-size:15px;min-height:1.5em;${wordBreak}">${line}</div>`)}
</blockquote>`;
    case 'form':
      return html`<div class="box" style="margin:4px 0 20px;padding:12px 16px;background:#f5f7f9;border:1px solid #d9dfe6;border-radius:8px">
${block.fields.map(
  ({ label, value }) =>
    html`<div class="ink" dir="auto" style="${textStyle};font-size:15px;padding:3px 0;${wordBreak}"><strong>${label.text}:</strong> ${valueLines(value).map((line, index) => (index === 0 ? html`${line}` : html`<br />${line}`))}</div>`,
)}
</div>`;
    case 'code':
      return html`<table role="presentation" class="box" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:4px 0 16px;background:#f0f5fb;border:1px solid #cfdceb;border-radius:8px">
<tr><td align="center" style="padding:14px 16px 16px">
<p class="dim" style="margin:0 0 4px;${mutedStyle}">Code</p>
<p class="ink" style="margin:0;${mono};font-size:30px;line-height:1.25;font-weight:700;letter-spacing:0.2em;padding-left:0.2em;color:#1c2430">${block.code}</p>
</td></tr>
</table>`;
    case 'action':
      return html`<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0" style="margin:4px 0 16px">
<tr><td class="button" align="center" bgcolor="#0b5cad" style="background:#0b5cad;border-radius:8px">
<a class="button-ink" href="${block.url}" style="display:block;padding:14px 20px;${sans};font-size:17px;line-height:1.3;font-weight:600;color:#ffffff;text-decoration:none">${block.label.text}</a>
</td></tr>
</table>
${block.showUrl ? [html`<p class="dim" style="margin:0 0 16px;${mutedStyle};font-size:13px;word-break:break-all">If the button does not work, open this address:<br /><a class="link" href="${block.url}" style="color:#0b5cad">${block.url}</a></p>`] : []}`;
  }
}
