import { seedUsers } from '../seed.ts';
import { escapeHtml, formatInstant, renderPage } from './layout.ts';

/** Returns the start page of the local system: what runs here, where to look, and who can sign in. */
export function renderWelcome(status: {
  readonly address: string;
  readonly now: string;
  readonly emailCount: number;
}): string {
  const userRows = seedUsers.map(
    ({ name, email, description, roles }) =>
      `<tr><th scope="row">${escapeHtml(name)}<br><code>${escapeHtml(email)}</code></th><td>${escapeHtml(description)}${
        roles.length > 0 ? `<br><span class="muted">role:</span> <code>${escapeHtml(roles.join(', '))}</code>` : ''
      }</td></tr>`,
  );
  return renderPage(
    'Local system',
    `<h1>Volume Activation is running</h1>
<p class="lead">It counts the activations of volume license keys, and raises a limit after the customer’s Notices Correspondent has approved it by email.</p>
<ul class="places">
<li><a href="/_local/mailbox">Mailbox</a> <span class="muted">${status.emailCount === 0 ? 'No emails yet.' : `${status.emailCount} ${status.emailCount === 1 ? 'email' : 'emails'} so far.`} Emails from the service arrive here and go nowhere else.</span></li>
<li><a href="/docs">API</a> <span class="muted">The reference of every request and response.</span></li>
<li><a href="/_local/clock">Clock</a> <span class="muted">It is ${formatInstant(status.now)} UTC here. You can advance the clock, and everything that falls due in between happens.</span></li>
</ul>
<h2>Who can sign in</h2>
<p class="muted">These people are in the example data. You can get a token for any email address and roles; the local system asks for no password.</p>
<table>${userRows.join('\n')}</table>
<h2>Commands</h2>
<p>Sign in: get a token for an email address and its roles.</p>
<pre>curl ${status.address}/_local/tokens -d '{"email":"tomas.novak@vendor.example","roles":["exceptions-team"]}'</pre>
<p>Advance the clock by one day and two hours:</p>
<pre>curl ${status.address}/_local/clock -d '{"advance":"P1DT2H"}'</pre>`,
    style,
  );
}

const style = `
main { max-width: 60rem }
.lead { max-width: 42rem; font-size: 1.125rem }
.places { margin: 0; padding: 0; list-style: none; border-top: 1px solid var(--border) }
.places li { display: grid; gap: 0 1rem; padding: .625rem 0; border-bottom: 1px solid var(--border) }
.places a { font-weight: 700; justify-self: start }
table { width: 100%; border-collapse: collapse; border-top: 1px solid var(--border) }
tr { border-bottom: 1px solid var(--border) }
th, td { padding: .5rem 1rem .5rem 0; text-align: left; vertical-align: top }
th code { font-weight: 400 }
pre { margin: 0 0 1rem; padding: .75rem 1rem; background: var(--surface); white-space: pre-wrap }
@media (min-width: 40rem) { .places li { grid-template-columns: 8rem minmax(0, 1fr) } th { width: 50% } }
@media (max-width: 39.99rem) { tr { display: grid; padding: .5rem 0 } th, td { padding: 0 } }
`;
