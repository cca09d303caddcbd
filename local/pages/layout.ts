/** Text as it may stand in HTML, in an attribute too. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (symbol) => `&#${symbol.charCodeAt(0)};`);
}

/** An instant as people read it in a list; with the seconds where two looks at it are to be told apart. */
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
 * A whole page of the local system. It needs no script and fetches nothing; it fits a phone and a wide screen, by day and
 * by night. `main` and `style` are put in as they are.
 */
export function renderPage(title: string, main: string, style = ''): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)} · Volume Activation</title>
<style>${sharedStyle}${style}</style>
</head>
<body>
<header class="top"><p><a href="/_local">Volume Activation</a> <span>on this machine</span></p><p><a href="/_local/mailbox">Mail box</a></p></header>
<main>
${main}
</main>
</body>
</html>
`;
}

const sharedStyle = `
:root { color-scheme: light dark; --ground: #fff; --raised: #f2f4f7; --ink: #151a21; --quiet: #4b5563; --line: #c4cbd5;
  --banner: #16324f; --on-banner: #fff; --link: #17508f; --chosen: #e3edf8; --focus: #b4410a }
@media (prefers-color-scheme: dark) { :root { --ground: #12161c; --raised: #1d232c; --ink: #e8ecf1; --quiet: #b0bac6;
  --line: #3d4754; --banner: #1c2b3b; --link: #9cc7f7; --chosen: #22364b; --focus: #ffd166 } }
*, *::before, *::after { box-sizing: border-box }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100% }
body { margin: 0; background: var(--ground); color: var(--ink); overflow-wrap: anywhere;
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
.quiet { color: var(--quiet) }
code, pre { font-family: ui-monospace, "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .9em }
`;
