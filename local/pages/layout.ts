import { faviconAddress } from '../../functions/http/favicon.ts';

/** Escapes text for HTML, also inside quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** Formats an instant for a list, in UTC. Seconds show a reader of a reloaded page that time has passed. */
export function formatInstant(at: string, seconds = false): string {
  return new Intl.DateTimeFormat('en-GB', {
    timeZone: 'UTC',
    weekday: 'short',
    day: 'numeric',
    month: 'short',
    year: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    ...(seconds ? { second: '2-digit' } : {}),
  }).format(new Date(at));
}

/**
 * Returns a complete page of the local system, for narrow and wide screens in light and dark. It needs no script and
 * fetches nothing. `main` and `style` are inserted unescaped.
 */
export function renderPage(title: string, main: string, style = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Volume Activation</title>
<link rel="icon" href="${faviconAddress}">
<style>${sharedStyle}${style}</style>
</head>
<body>
<header class="top"><p><a href="/_local">Volume Activation</a> <span>on this machine</span></p><p><a href="/_local/mailbox">Mailbox</a></p></header>
<main>
${main}
</main>
</body>
</html>
`;
}

const sharedStyle = `
:root { color-scheme: light dark; --background: #fff; --surface: #f2f4f7; --text: #151a21; --muted: #4b5563; --border: #c4cbd5;
  --banner: #16324f; --on-banner: #fff; --link: #17508f; --selected: #e3edf8; --focus: #b4410a }
@media (prefers-color-scheme: dark) { :root { --background: #12161c; --surface: #1d232c; --text: #e8ecf1; --muted: #b0bac6;
  --border: #3d4754; --banner: #1c2b3b; --link: #9cc7f7; --selected: #22364b; --focus: #ffd166 } }
*, *::before, *::after { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; background: var(--background); color: var(--text); overflow-wrap: anywhere;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Helvetica Neue", Arial, sans-serif }
.top { display: flex; flex-wrap: wrap; gap: 0 1.5rem; justify-content: space-between; padding: .75rem 1rem;
  background: var(--banner); color: var(--on-banner) }
.top p { margin: 0; font-weight: 700 }
.top span { font-weight: 400 }
.top a { color: inherit; text-decoration: none }
.top a:hover { text-decoration: underline }
main { max-width: 80rem; margin: 0 auto; padding: 1.25rem 1rem 3rem }
h1 { margin: 0 0 .25rem; font-size: 1.5rem; line-height: 1.25; text-wrap: balance }
h2 { margin: 2rem 0 .5rem; font-size: 1.125rem }
p { margin: 0 0 1rem }
a { color: var(--link); text-underline-offset: .15em }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px }
.muted { color: var(--muted) }
code, pre { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .9em }
`;
