import type { Mail } from './mail-box.ts';

/** The first page of the local system: what is where. */
export function welcomePage(): string {
  return layout(
    'Volume activation, on this machine',
    `<p>The service runs. Its API answers here; <a href="/health">/health</a> says so.</p>
<p>Every mail that it sends is in <a href="/_local/mailbox">the mail box</a>.</p>`,
  );
}

/** The mail box as a page: newest first, each mail as its reader would see it. */
export function mailBoxPage(mails: readonly Mail[]): string {
  const list = mails
    .map(
      ({ to, subject, at, html, text }) => `<article>
<h2>${escaped(subject)}</h2>
<p class="meta">To <strong>${escaped(to)}</strong> · <time datetime="${at}">${at.slice(0, 16).replace('T', ' ')} UTC</time></p>
<iframe title="${escaped(subject)}" sandbox="allow-popups allow-top-navigation-by-user-activation" srcdoc="${escaped(html ?? `<pre>${escaped(text ?? '')}</pre>`)}"></iframe>
</article>`,
    )
    .join('\n');
  return layout('Mail box', list === '' ? '<p>No mail yet. Reload after something has happened.</p>' : list);
}

function layout(title: string, main: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; color: #1b1b1b; background: #f4f4f2 }
article { background: #fff; border: 1px solid #ccc; border-radius: 6px; padding: 1rem; margin: 1rem 0 }
h2 { font-size: 1.1rem; margin: 0 }
.meta { color: #555; margin: 0 0 .75rem }
iframe { width: 100%; height: 36rem; border: 1px solid #ddd; background: #fff }
</style>
<h1>${title}</h1>
<main>
${main}
</main>
</html>`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (symbol) => `&#${symbol.charCodeAt(0)};`);
}
