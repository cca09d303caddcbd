import { createHash } from 'node:crypto';
import { html } from '../../emails/html.ts';

/**
 * The style of the API documentation: for screens from 320 px, light and dark, and for print. It is embedded in the page,
 * whose content security policy has its hash, so that no other style or script applies.
 */
export const stylesheet = html`
:root {
  color-scheme: light dark;
  --ground: #ffffff;
  --raised: #f2f4f7;
  --ink: #151a21;
  --quiet: #4b5563;
  --line: #c4cbd5;
  --banner: #16324f;
  --on-banner: #ffffff;
  --link: #17508f;
  --get: #17508f;
  --post: #0c6638;
  --put: #8a4b06;
  --on-method: #ffffff;
  --focus: #b4410a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #12161c;
    --raised: #1d232c;
    --ink: #e8ecf1;
    --quiet: #b0bac6;
    --line: #3d4754;
    --banner: #1c2b3b;
    --on-banner: #ffffff;
    --link: #9cc7f7;
    --get: #9cc7f7;
    --post: #7fd6a6;
    --put: #f2bd7c;
    --on-method: #12161c;
    --focus: #ffd166;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; scroll-padding-top: 1rem; }
body {
  margin: 0;
  background: var(--ground);
  color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif;
  overflow-wrap: anywhere;
}
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
code, pre { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: 0.9em; }
.skip { position: absolute; left: -100rem; }
.skip:focus { position: static; display: inline-block; padding: 0.5rem 1rem; }
header { padding: 1.25rem 1rem; background: var(--banner); color: var(--on-banner); }
header h1 { margin: 0; font-size: 1.75rem; line-height: 1.2; }
header p { margin: 0.25rem 0 0; }
header a { color: inherit; }
nav { padding: 0.75rem 1rem; border-bottom: 1px solid var(--line); background: var(--raised); }
nav summary { padding: 0.25rem 0; font-weight: 700; cursor: pointer; }
nav h2 { margin: 1rem 0 0.25rem; padding: 0; border: 0; font-size: 1rem; }
nav ul { margin: 0; padding: 0; list-style: none; }
nav li a { display: block; padding: 0.25rem 0; text-decoration: none; }
nav li a:hover { text-decoration: underline; }
main { padding: 1rem 1rem 3rem; }
main > section { max-width: 52rem; }
h2 { margin: 3rem 0 0.5rem; padding-top: 1rem; border-top: 3px solid var(--banner); font-size: 1.5rem; line-height: 1.25; }
main > section:first-child h2:first-child { margin-top: 0; }
h3 { margin: 0 0 0.5rem; font-size: 1.25rem; line-height: 1.3; }
h4 { margin: 1.25rem 0 0.375rem; font-size: 1rem; }
p, ul { margin: 0 0 0.75rem; }
ul { padding-left: 1.25rem; }
.intro h3 { margin-top: 1.75rem; }
.operation, .schema, .error { margin: 2rem 0 0; padding-top: 1.5rem; border-top: 1px solid var(--line); }
.address { display: flex; flex-wrap: wrap; gap: 0.5rem; align-items: baseline; margin: 0 0 0.75rem; font-size: 1.0625rem; }
.method {
  padding: 0 0.5rem;
  border-radius: 0.25rem;
  background: var(--get);
  color: var(--on-method);
  font-weight: 700;
}
.method.post { background: var(--post); }
.method.put { background: var(--put); }
.quiet { color: var(--quiet); }
pre {
  margin: 0 0 0.75rem;
  padding: 0.75rem 1rem;
  border: 1px solid var(--line);
  border-radius: 0.25rem;
  background: var(--raised);
  white-space: pre-wrap;
  line-height: 1.45;
}
dl { margin: 0 0 0.75rem; border-top: 1px solid var(--line); }
dl > div { padding: 0.375rem 0; border-bottom: 1px solid var(--line); }
dt code { font-weight: 700; }
dd { margin: 0; }
dd ul { margin: 0.25rem 0 0; }
.responses > div { display: grid; grid-template-columns: 3.5rem minmax(0, 1fr); }
details > summary { cursor: pointer; color: var(--link); }
details > pre { margin-top: 0.5rem; }
@media (min-width: 64rem) {
  .body { display: grid; grid-template-columns: 20rem minmax(0, 1fr); }
  header { padding: 1.5rem 2rem; }
  header h1 { font-size: 2.25rem; }
  nav { position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto; padding: 1.25rem 1.5rem 2rem 2rem; border-bottom: 0; border-right: 1px solid var(--line); font-size: 0.9375rem; }
  nav li a { padding: 0.125rem 0; }
  /* Wide enough for everything. */
  nav details::details-content { content-visibility: visible; block-size: auto; }
  nav summary { list-style: none; pointer-events: none; }
  main { padding: 2rem 3rem 4rem; }
  .fields > div { display: grid; grid-template-columns: 15rem minmax(0, 1fr); gap: 0 1rem; }
}
@media print {
  :root {
    --ground: #ffffff; --raised: #ffffff; --ink: #000000; --quiet: #333333; --line: #999999; --banner: #ffffff;
    --on-banner: #000000; --link: #000000; --get: #000000; --post: #000000; --put: #000000; --on-method: #ffffff;
  }
  body { font-size: 10pt; }
  nav, .skip { display: none; }
  .body { display: block; }
  main > section { max-width: none; }
  .method, .method.post, .method.put { border: 1px solid #000000; background: #ffffff; color: #000000; }
  h2, h3, h4 { break-after: avoid; }
  dl > div { break-inside: avoid; }
  /* Examples would make the printout too long; openapi.json has all of them. */
  details { display: none; }
  .responses > div, .fields > div { display: grid; grid-template-columns: 3.5rem minmax(0, 1fr); }
  .fields > div { grid-template-columns: 15rem minmax(0, 1fr); gap: 0 1rem; }
}
`;

/** The hash of the stylesheet, in the syntax of a content security policy. */
export const stylesheetHash = `sha256-${createHash('sha256').update(stylesheet.toString()).digest('base64')}`;
