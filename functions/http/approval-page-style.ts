import { createHash } from 'node:crypto';
import { html } from '../../emails/html.ts';

/**
 * The stylesheet of the approval pages, for screens from 320 px in light and dark, and for paper. It is inside the
 * page, so that no page fetches anything, and the content security policy has its hash, so that no other style or
 * script applies.
 */
export const stylesheet = html`
:root {
  color-scheme: light dark;
  --background: #ffffff;
  --surface: #f2f4f7;
  --text: #151a21;
  --muted: #4b5563;
  --border: #c4cbd5;
  --border-strong: #6a7481;
  --banner: #16324f;
  --on-banner: #ffffff;
  --highlight: #16324f;
  --link: #17508f;
  --approve: #0c6638;
  --on-approve: #ffffff;
  --deny: #414b59;
  --on-deny: #ffffff;
  --error: #ad1420;
  --done: #0c6638;
  --focus: #b4410a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --background: #12161c;
    --surface: #1d232c;
    --text: #e8ecf1;
    --muted: #b0bac6;
    --border: #3d4754;
    --border-strong: #8b96a4;
    --banner: #1c2b3b;
    --on-banner: #ffffff;
    --highlight: #2b4f75;
    --link: #9cc7f7;
    --approve: #7fd6a6;
    --on-approve: #06281a;
    --deny: #c2cbd7;
    --on-deny: #151a21;
    --error: #ff9d97;
    --done: #7fd6a6;
    --focus: #ffd166;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0;
  background: var(--background);
  color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
header { background: var(--banner); color: var(--on-banner); }
header p { margin: 0 auto; padding: 0.75rem 1rem; font-weight: 700; }
header p, main, footer { max-width: 50rem; }
main > p, main > ul, main > ol { max-width: 44rem; }
main { margin: 0 auto; padding: 1.5rem 1rem 2rem; }
footer { margin: 0 auto; padding: 0 1rem 2.5rem; color: var(--muted); font-size: 1rem; }
footer p { margin: 0; padding-top: 0.75rem; }
footer p:first-child { border-top: 1px solid var(--border); }
h1 { margin: 0 0 1rem; font-size: 1.75rem; line-height: 1.2; text-wrap: balance; }
h2 { margin: 2.5rem 0 0.75rem; font-size: 1.375rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.problems:focus-visible { outline-offset: 0; }
.muted { color: var(--muted); }
.key { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; letter-spacing: 0.05em; }
.notice { margin: 0 0 1.5rem; padding: 0.75rem 1rem; border-left: 0.375rem solid var(--border-strong); background: var(--surface); }
.notice.done { border-color: var(--done); }
.notice :last-child, .problems :last-child { margin-bottom: 0; }
.problems { margin: 0 0 1.5rem; padding: 1rem; border: 0.25rem solid var(--error); }
.problems h2 { margin: 0 0 0.5rem; font-size: 1.25rem; }
.problems ul { margin: 0 0 0.75rem; padding: 0; list-style: none; }
.problems a { color: var(--error); font-weight: 700; }
dl, dd { margin: 0; }
.change { display: grid; gap: 0.5rem; margin: 0 0 1rem; }
.change > div { padding: 0.75rem 1rem; border: 1px solid transparent; background: var(--surface); }
.change > .after { background: var(--highlight); color: var(--on-banner); }
.change dd { font-size: 2rem; font-weight: 700; line-height: 1.2; font-variant-numeric: tabular-nums; }
.details { margin: 0 0 1rem; border-top: 1px solid var(--border); }
.details > div { padding: 0.625rem 0; border-bottom: 1px solid var(--border); }
.details dt { font-weight: 700; }
.details dd { overflow: clip; }
.id, time span { white-space: nowrap; }
figure { margin: 0; }
figcaption { margin: 0 0 0.5rem; color: var(--muted); }
blockquote {
  margin: 0 0 1rem;
  padding: 0.75rem 1rem;
  border: 1px solid var(--border);
  border-radius: 0.5rem;
  background: var(--surface);
  overflow: clip;
  white-space: pre-wrap;
  unicode-bidi: plaintext;
}
form { margin: 0; }
.step { margin: 1.5rem 0; padding: 1rem; border: 1px solid var(--border); }
.step h3 { margin: 0 0 0.5rem; font-size: 1.125rem; }
.step :last-child { margin-bottom: 0; }
.field { margin: 0 0 1.5rem; }
.field.invalid { padding-left: 0.75rem; border-left: 0.3125rem solid var(--error); }
label { display: block; font-weight: 700; }
.hint { margin: 0 0 0.5rem; color: var(--muted); }
.error { margin: 0 0 0.5rem; color: var(--error); font-weight: 700; }
input, textarea {
  display: block;
  width: 100%;
  padding: 0.5rem 0.625rem;
  border: 2px solid var(--border-strong);
  border-radius: 0;
  background: var(--background);
  color: var(--text);
  font: inherit;
}
.invalid input, .invalid textarea { border-color: var(--error); }
input { max-width: 11rem; font-size: 1.5rem; letter-spacing: 0.15em; font-variant-numeric: tabular-nums; }
textarea { min-height: 6rem; resize: vertical; }
/* Leaves room above the target of a link for its label and message. */
input, textarea, #decision { scroll-margin-top: 10rem; }
.choices { display: grid; gap: 1.25rem; margin: 0 0 1rem; }
.choices p { margin: 0.5rem 0 0; color: var(--muted); }
button {
  display: block;
  width: 100%;
  min-height: 3rem;
  padding: 0.625rem 0.75rem;
  border: 2px solid transparent;
  border-radius: 0.25rem;
  background: var(--deny);
  color: var(--on-deny);
  font: inherit;
  font-weight: 700;
  cursor: pointer;
}
button[hidden] { display: none; }
button:hover { text-decoration: underline; text-underline-offset: 0.15em; }
.approve { background: var(--approve); color: var(--on-approve); }
@media (min-width: 40rem) {
  body { font-size: 1.125rem; }
  main { padding-top: 2.5rem; }
  h1 { font-size: 2.25rem; }
  .change { grid-template-columns: 1fr 1fr 1fr; }
  .details > div { display: grid; grid-template-columns: 11rem 1fr; gap: 1rem; }
  .choices { grid-template-columns: 1fr 1fr; }
  /* Both buttons are in one row of the grid, and so equally high. */
  .choices > div { display: grid; grid-row: span 2; grid-template-rows: subgrid; row-gap: 0; }
  .step button { width: auto; }
}
@media print {
  :root {
    --background: #ffffff; --surface: #ffffff; --text: #000000; --muted: #333333; --border: #999999; --border-strong: #666666;
    --banner: #ffffff; --on-banner: #000000; --highlight: #ffffff; --error: #000000;
  }
  body { font-size: 11pt; }
  header p, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  footer { font-size: 10pt; }
  .change > div { border-color: var(--border); }
  h2 { break-after: avoid; }
  .details > div, .notice, .change { break-inside: avoid; }
  .screen { display: none; }
}
`;

/** The hash of the stylesheet in the notation of a content security policy. */
export const stylesheetHash = `sha256-${createHash('sha256').update(stylesheet.toString()).digest('base64')}`;
