import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderAgreementEmail } from '../../emails/contacts.ts';
import type { Email } from '../../emails/layout.ts';
import { jorge, mallory, noor } from '../builders.ts';
import { mondayTen, tuesdayTen } from '../instants.ts';
import {
  aNotification,
  contactEmailContext,
  contactEmailSamples,
  correspondentChanges,
  kmsUsed,
  makReplaced,
  makUsed,
  onClients,
} from './contact-email-samples.ts';
import { htmlErrorsIn, linksIn, numbersIn, plainTextIn, tagsIn, visibleTextIn } from './html-reader.ts';
import { consoleUrl } from './request-email-samples.ts';

function renderSample(name: string): Email {
  const sample = contactEmailSamples.find((each) => each.name === name);
  if (sample === undefined) throw new Error(`There is no sample “${name}”.`);
  return renderAgreementEmail(sample.notification, sample.context);
}

describe.each(contactEmailSamples)('the email “$name”', ({ notification, context }) => {
  const email = renderAgreementEmail(notification, context);
  const html = visibleTextIn(email.html);
  const text = plainTextIn(email.text);

  it('has a subject of one line that ends with the agreement', () => {
    expect(email.subject).toMatch(/^[^\r\n]{20,110}$/);
    expect(email.subject.endsWith(' (agreement E-1001)')).toBe(true);
  });

  it('greets its reader, names the organization, and says why they get it, in both parts', () => {
    for (const part of [html, text]) {
      expect(part).toContain(`Hello ${notification.to.name},`);
      expect(part).toContain('Alder School District, agreement E-1001');
      expect(part).toContain('You are receiving this email because you');
    }
  });

  it('has the same numbers in both parts', () => {
    expect(numbersIn(html)).toEqual(numbersIn(text));
  });

  it('KEY-6 shows only the last five of a key, and has no missing value and no masked secret', () => {
    for (const part of [email.subject, email.text, email.html]) {
      expect(part).not.toMatch(/undefined|\bnull\b|\bNaN\b|\[object|\[secret\]|\$\{|[A-Z0-9]{5}-[A-Z0-9]{5}/);
    }
    expect(text).not.toMatch(/ {2}|\s[,.;:](?:\s|$)|[.,]{2}|[.!?;:,][A-Z]/);
  });

  it('is well-formed and loads no image, script, or other resource', () => {
    expect(htmlErrorsIn(email.html)).toEqual([]);
    expect(email.html).not.toMatch(/<(?:img|script|iframe|link|form)|\bsrc=|url\(|@import/);
    expect(linksIn(email.html).filter((target) => target !== consoleUrl)).toEqual([]);
  });

  it('has no link to a console if there is none', () => {
    const { consoleUrl: _, ...withoutConsole } = context;
    const other = renderAgreementEmail(notification, withoutConsole);
    expect(other.text + other.html).not.toContain(consoleUrl);
    expect(htmlErrorsIn(other.html)).toEqual([]);
  });
});

describe('the content of each email, in both parts', () => {
  const effectiveAt = 'Tuesday 2 June 2026, 10:00 Pacific Time (UTC−7)';

  it.each<[rule: string, sample: string, facts: readonly string[]]>([
    [
      'AGR-4 tells a contact who succeeds whom, when, and what to do if it is not right',
      'correspondent changes, to a contact',
      [
        'Jorge Ruiz becomes the Notices Correspondent',
        `The change takes effect on ${effectiveAt}. Until then, Noor Haddad still receives the approval requests`,
        'noor@alder.example',
        'jorge@alder.example',
        'we send any open approval request again, and the links in earlier emails stop working',
        'call the activation call center before then on a phone number that you already have',
        'on the Authorized Contact List',
      ],
    ],
    [
      'AGR-4 tells the former Correspondent',
      'correspondent changes, to the former',
      ['Until then, you still receive the approval requests', 'because you are the Notices Correspondent'],
    ],
    [
      'AGR-4 tells the successor',
      'correspondent changes, to the successor',
      ['You become the Notices Correspondent', 'We ask you by email', 'because you were named'],
    ],
    [
      'AGR-4 says that the change took effect before the email was sent',
      'correspondent changed, to a contact',
      [`The change took effect on ${effectiveAt}.`, 'Jorge Ruiz is now', 'call the activation call center now'],
    ],
    [
      'AGR-4 tells the former Correspondent after the change',
      'correspondent changed, to the former',
      ['because you were the Notices'],
    ],
    [
      'AGR-4 tells the successor after the change',
      'correspondent changed, to the successor',
      ['You are now the Notices'],
    ],
    [
      'ALR-1 ALR-2 says what is used and left, when the key runs out, and both ways to get more',
      'MAK at 80 %',
      [
        '84 of the 100 activations of your MAK ending in BCDFG are used; 16 are left.',
        makUsed.forecast,
        'up to twice the original limit',
        'For a higher limit. We respond within 5 business days',
        'your Notices Correspondent must approve the request',
        'We send this alert once at 80%, 95%, and 100% of a limit.',
      ],
    ],
    ['ALR-1 says that one is left', 'MAK at 95 %, nothing to forecast', ['are used; 1 is left.', '1 activation']],
    [
      'ALR-1 says that nothing is left and what is refused',
      'MAK used up',
      [
        'All 100 activations of your MAK ending in BCDFG are used. A computer that has not activated with this key yet can no longer do so.',
        'To get more:',
      ],
    ],
    [
      'ALR-1 writes large numbers with separators',
      'large MAK',
      ['120,000 of the 150,000 activations', '30,000 are left'],
    ],
    [
      'ALR-1 counts the host slots of a KMS key',
      'KMS key at 80 %',
      ['5 of the 6 host slots of your KMS key ending in HJKMP are used; 1 is left.', 'KMSADD', 'up to 5 for each key'],
    ],
    [
      'ALR-1 says that a new host is refused',
      'KMS key used up',
      ['All 6 host slots', 'A new host can no longer activate'],
    ],
    [
      'KMS-4 says how many hosts activated how fast, and where the key belongs',
      'KMS key on clients',
      [
        '3 new hosts activated with your KMS key ending in HJKMP within 24 hours',
        'A KMS key belongs on KMS hosts only',
        'They are client computers: Do not enter this key on any more computers',
        'blocked and replaced with a new one',
      ],
    ],
    [
      'BLK-2 BLK-3 VAL-1 names both keys, and says why, what to do, and how long computers stay genuine',
      'MAK replaced',
      [
        'Your MAK ending in BCDFG is blocked',
        'a new key ending in QRTVW to replace it',
        'The key was posted on a public page. Nobody knows by whom.',
        'leaves the list when it activates with the new key',
        'for 30 days after the key was blocked',
      ],
    ],
    ['BLK-2 names the hosts of a KMS key', 'KMS key replaced', ['every KMS host that used the old key']],
  ])('%s', (_, sample, facts) => {
    const email = renderSample(sample);
    for (const fact of facts) {
      expect(`${email.subject} ${plainTextIn(email.text)}`).toContain(fact);
      expect(visibleTextIn(email.html)).toContain(fact);
    }
  });

  it('ALR-1 says in the subject how much of which key', () => {
    expect(renderSample('MAK at 80 %').subject).toBe(
      '80% of the activations of your MAK ending in BCDFG are used (agreement E-1001)',
    );
    expect(renderSample('KMS key used up').subject).toBe(
      'All host slots of your KMS key ending in HJKMP are used (agreement E-1001)',
    );
  });

  it('ALR-2 has no forecast if there is none', () => {
    expect(renderSample('MAK at 95 %, nothing to forecast').text).not.toContain('At the pace');
  });

  it('AGR-4 announces the change until it takes effect, and reports it from then on', () => {
    const at = (now: typeof mondayTen) =>
      renderAgreementEmail(aNotification(correspondentChanges), { ...contactEmailContext, now });
    expect(at(mondayTen).subject).toContain('becomes');
    expect(at(tuesdayTen).subject).toContain('is now');
  });

  it('recognizes its reader by the address, ignoring case and spaces', () => {
    const to = { ...jorge, email: ' JORGE@Alder.example ' };
    expect(renderAgreementEmail(aNotification(correspondentChanges, { to }), contactEmailContext).subject).toContain(
      'You become',
    );
  });
});

describe('text from others', () => {
  const renderAllWith = (text: string) => [
    renderAgreementEmail(aNotification(makReplaced, { organizationName: text }), contactEmailContext),
    renderAgreementEmail(
      aNotification(
        { ...correspondentChanges, to: { ...jorge, name: text } },
        { to: { ...noor, name: text }, organizationName: text },
      ),
      contactEmailContext,
    ),
    renderAgreementEmail(aNotification(makUsed, { organizationName: text }), contactEmailContext),
    renderAgreementEmail(aNotification(kmsUsed, { to: { name: text, email: noor.email } }), contactEmailContext),
    renderAgreementEmail(aNotification(onClients, { organizationName: text }), contactEmailContext),
  ];

  it('cannot become markup, a link, or a second header', () => {
    const originalTags = renderAllWith(mallory.name).map(({ html }) => tagsIn(html));
    const hostileText = fc.array(
      fc.oneof(
        fc.string({ unit: 'grapheme', maxLength: 20 }),
        fc.constantFrom(
          '<b>',
          '</td>',
          '"',
          "'",
          '&',
          'http://evil.example/',
          'evil.example',
          '\r\nBcc: a@b.example',
          '\u202e',
        ),
      ),
      { minLength: 1, maxLength: 6 },
    );
    fc.assert(
      fc.property(hostileText, (parts) => {
        const text = parts.join('');
        for (const [index, email] of renderAllWith(text).entries()) {
          expect(email.subject).not.toMatch(/[\r\n]/);
          expect(htmlErrorsIn(email.html)).toEqual([]);
          expect(tagsIn(email.html)).toEqual(originalTags[index]);
          expect(email.text).not.toMatch(/https?:\/\/(?!portal\.licensing\.example\/)/);
        }
      }),
      { numRuns: 60 },
    );
  });
});
