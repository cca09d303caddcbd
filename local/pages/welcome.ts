import { seedUsers } from '../seed.ts';
import { escapeHtml, formatInstant, renderPage } from './layout.ts';

/** The first page of the local system: what runs here, what to look at, and who can sign in. */
export function renderWelcome(status: {
  readonly address: string;
  readonly now: string;
  readonly mails: number;
}): string {
  const userRows = seedUsers.map(
    ({ name, email, description, roles }) =>
      `<tr><th scope="row">${escapeHtml(name)}<br><code>${escapeHtml(email)}</code></th><td>${escapeHtml(description)}${
        roles.length > 0 ? `<br><span class="quiet">role</span> <code>${escapeHtml(roles.join(', '))}</code>` : ''
      }</td></tr>`,
  );
  return renderPage(
    'What runs here',
    `<h1>The service runs</h1>
<p class="lead">It counts what volume license keys activate, and raises a limit when the customer’s Notices Correspondent has approved it by mail.</p>
<ul class="places">
<li><a href="/_local/mailbox">Mail box</a> <span class="quiet">${status.mails === 0 ? 'No mail yet. What' : `${status.mails} so far. What`} the service sends arrives here and goes nowhere else.</span></li>
<li><a href="/docs">The API</a> <span class="quiet">What can be asked, and what is answered.</span></li>
<li><a href="/_local/clock">The clock</a> <span class="quiet">It is ${formatInstant(status.now)} UTC here. The clock can be wound on, and what falls due on the way happens.</span></li>
</ul>
<h2>Who can sign in</h2>
<p class="quiet">In the seeded world. A token is for whoever is named, with the roles that are named; the local system asks for no password.</p>
<table>${userRows.join('\n')}</table>
<h2>How to</h2>
<p>Sign in, which is to get a token; the roles are asked for with it:</p>
<pre>curl ${status.address}/_local/tokens -d '{"email":"tomas.novak@vendor.example","roles":["exceptions-team"]}'</pre>
<p>Wind the clock on by a day and two hours:</p>
<pre>curl ${status.address}/_local/clock -d '{"advance":"P1DT2H"}'</pre>`,
    style,
  );
}

const style = `
main { max-width: 60rem }
.lead { max-width: 42rem; font-size: 1.125rem }
.places { margin: 0; padding: 0; list-style: none; border-top: 1px solid var(--line) }
.places li { display: grid; gap: 0 1rem; padding: .625rem 0; border-bottom: 1px solid var(--line) }
.places a { font-weight: 700; justify-self: start }
table { width: 100%; border-collapse: collapse; border-top: 1px solid var(--line) }
tr { border-bottom: 1px solid var(--line) }
th, td { padding: .5rem 1rem .5rem 0; text-align: left; vertical-align: top }
th code { font-weight: 400 }
pre { margin: 0 0 1rem; padding: .75rem 1rem; background: var(--raised); white-space: pre-wrap }
@media (min-width: 40rem) { .places li { grid-template-columns: 8rem minmax(0, 1fr) } th { width: 50% } }
@media (max-width: 39.99rem) { tr { display: grid; padding: .5rem 0 } th, td { padding: 0 } }
`;
