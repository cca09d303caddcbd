import { createHash } from 'node:crypto';
import { html } from '../../emails/html.ts';

/**
 * How the approval pages look: on paper, in light and dark, from 320 px up. It stands in the page itself, so that no page
 * fetches anything, and the pages' policy names its hash, so that no other style (or script) is ever applied.
 */
export const stylesheet = html`
:root {
  color-scheme: light dark;
  --ground: #ffffff;
  --raised: #f2f4f7;
  --ink: #151a21;
  --quiet: #4b5563;
  --line: #c4cbd5;
  --edge: #6a7481;
  --banner: #16324f;
  --on-banner: #ffffff;
  --after: #16324f;
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
    --ground: #12161c;
    --raised: #1d232c;
    --ink: #e8ecf1;
    --quiet: #b0bac6;
    --line: #3d4754;
    --edge: #8b96a4;
    --banner: #1c2b3b;
    --on-banner: #ffffff;
    --after: #2b4f75;
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
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
header { background: var(--banner); color: var(--on-banner); }
header p { margin: 0 auto; padding: 0.75rem 1rem; font-weight: 700; }
header p, main, footer { max-width: 44rem; }
main { margin: 0 auto; padding: 1.5rem 1rem 2rem; }
footer { margin: 0 auto; padding: 0 1rem 2.5rem; color: var(--quiet); font-size: 1rem; }
footer p { margin: 0; padding-top: 0.75rem; }
footer p:first-child { border-top: 1px solid var(--line); }
h1 { margin: 0 0 1rem; font-size: 1.75rem; line-height: 1.2; text-wrap: balance; }
h2 { margin: 2.5rem 0 0.75rem; font-size: 1.375rem; line-height: 1.25; }
p { margin: 0 0 1rem; }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
.problems:focus-visible { outline-offset: 0; }
.quiet { color: var(--quiet); }
.key { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; letter-spacing: 0.05em; }
.notice { margin: 0 0 1.5rem; padding: 0.75rem 1rem; border-left: 0.375rem solid var(--edge); background: var(--raised); }
.notice.done { border-color: var(--done); }
.notice :last-child, .problems :last-child { margin-bottom: 0; }
.problems { margin: 0 0 1.5rem; padding: 1rem; border: 0.25rem solid var(--error); }
.problems h2 { margin: 0 0 0.5rem; font-size: 1.25rem; }
.problems ul { margin: 0 0 0.75rem; padding: 0; list-style: none; }
.problems a { color: var(--error); font-weight: 700; }
dl, dd { margin: 0; }
.change { display: grid; gap: 0.5rem; margin: 0 0 1rem; }
.change > div { padding: 0.75rem 1rem; border: 1px solid transparent; background: var(--raised); }
.change > .after { background: var(--after); color: var(--on-banner); }
.change dd { font-size: 2rem; font-weight: 700; line-height: 1.2; font-variant-numeric: tabular-nums; }
.facts { margin: 0 0 1rem; border-top: 1px solid var(--line); }
.facts > div { padding: 0.625rem 0; border-bottom: 1px solid var(--line); }
.facts dt { font-weight: 700; }
.facts dd { overflow: clip; }
figure { margin: 0; }
figcaption { margin: 0 0 0.5rem; color: var(--quiet); }
blockquote {
  margin: 0 0 1rem;
  padding: 0.75rem 1rem;
  border: 1px solid var(--line);
  border-radius: 0.5rem;
  overflow: clip;
  font-family: Georgia, "Noto Serif", "DejaVu Serif", serif;
  white-space: pre-wrap;
  unicode-bidi: plaintext;
}
form { margin: 0; }
.step { margin: 1.5rem 0; padding: 1rem; border: 1px solid var(--line); }
.step h3 { margin: 0 0 0.5rem; font-size: 1.125rem; }
.step :last-child { margin-bottom: 0; }
.field { margin: 0 0 1.5rem; }
.field.wrong { padding-left: 0.75rem; border-left: 0.3125rem solid var(--error); }
label { display: block; font-weight: 700; }
.hint { margin: 0 0 0.5rem; color: var(--quiet); }
.error { margin: 0 0 0.5rem; color: var(--error); font-weight: 700; }
input, textarea {
  display: block;
  width: 100%;
  padding: 0.5rem 0.625rem;
  border: 2px solid var(--edge);
  border-radius: 0;
  background: var(--ground);
  color: var(--ink);
  font: inherit;
}
.wrong input, .wrong textarea { border-color: var(--error); }
input { max-width: 11rem; font-size: 1.5rem; letter-spacing: 0.15em; font-variant-numeric: tabular-nums; }
textarea { min-height: 6rem; resize: vertical; }
/* What a link leads to comes into view with its label and message. */
input, textarea, #decision { scroll-margin-top: 10rem; }
.choices { display: grid; gap: 1.25rem; margin: 0 0 1rem; }
.choices p { margin: 0.5rem 0 0; color: var(--quiet); }
button {
  display: block;
  width: 100%;
  min-height: 3rem;
  padding: 0.625rem 1rem;
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
  .facts > div { display: grid; grid-template-columns: 13rem 1fr; gap: 1rem; }
  .choices { grid-template-columns: 1fr 1fr; align-items: start; }
  .step button { width: auto; }
}
@media print {
  :root {
    --ground: #ffffff; --raised: #ffffff; --ink: #000000; --quiet: #333333; --line: #999999; --edge: #666666;
    --banner: #ffffff; --on-banner: #000000; --after: #ffffff; --error: #000000;
  }
  body { font-size: 11pt; }
  header p, main, footer { max-width: none; padding-left: 0; padding-right: 0; }
  footer { font-size: 10pt; }
  .change > div { border-color: var(--line); }
  h2 { break-after: avoid; }
  .facts > div, .notice, .change { break-inside: avoid; }
  .screen { display: none; }
}
`;

/** The stylesheet's hash as a content security policy writes it. */
export const stylesheetHash = `sha256-${createHash('sha256').update(stylesheet.toString()).digest('base64')}`;
