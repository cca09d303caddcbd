import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { renderAgreementEmail } from '../../emails/contacts.ts';
import type { Email } from '../../emails/layout.ts';
import { noor, mallory, jorge } from '../builders.ts';
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

function named(name: string): Email {
  const found = contactEmailSamples.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no such notice: ${name}`);
  return renderAgreementEmail(found.notification, found.context);
}

describe.each(contactEmailSamples)('the notice “$name”', ({ notification: notice, context: facts }) => {
  const mail = renderAgreementEmail(notice, facts);
  const html = visibleTextIn(mail.html);
  const text = plainTextIn(mail.text);

  it('names the agreement, in a subject of one line that says what it is about', () => {
    expect(mail.subject).toMatch(/^[^\r\n]{20,110}$/);
    expect(mail.subject.endsWith(' (agreement E-1001)')).toBe(true);
  });

  it('greets its reader, names the organization, and says why they get it, in both parts', () => {
    for (const part of [html, text]) {
      expect(part).toContain(`Hello ${notice.to.name},`);
      expect(part).toContain('Alder School District, agreement E-1001');
      expect(part).toContain('You get this mail because you');
    }
  });

  it('says the same numbers in both parts', () => {
    expect(numbersIn(html)).toEqual(numbersIn(text));
  });

  it('KEY-6 holds no more of a key than its last five, no hole where a fact should stand, and no mask', () => {
    for (const part of [mail.subject, mail.text, mail.html]) {
      expect(part).not.toMatch(/undefined|\bnull\b|\bNaN\b|\[object|\[secret\]|\$\{|[A-Z0-9]{5}-[A-Z0-9]{5}/);
    }
    expect(text).not.toMatch(/ {2}|\s[,.;:](?:\s|$)|[.,]{2}|[.!?;:,][A-Z]/);
  });

  it('is well-formed, without an image, a script or anything from elsewhere', () => {
    expect(htmlErrorsIn(mail.html)).toEqual([]);
    expect(mail.html).not.toMatch(/<(?:img|script|iframe|link|form)|\bsrc=|url\(|@import/);
    expect(linksIn(mail.html).filter((target) => target !== consoleUrl)).toEqual([]);
  });

  it('names no place to sign in where there is none', () => {
    const { consoleUrl: _, ...nowhere } = facts;
    const other = renderAgreementEmail(notice, nowhere);
    expect(other.text + other.html).not.toContain(consoleUrl);
    expect(htmlErrorsIn(other.html)).toEqual([]);
  });
});

describe('what each notice has to say, in both parts', () => {
  const effect = 'Tuesday 2 June 2026, 10:00 (America/Los_Angeles, UTC−7)';

  it.each<[rule: string, notice: string, facts: readonly string[]]>([
    [
      'AGR-4 to a contact, who follows whom, when, and what to do if it is not right',
      'correspondent changes, to a contact',
      [
        'Jorge Ruiz becomes the Notices Correspondent',
        `It takes effect on ${effect}. Until then Noor Haddad is still asked`,
        'noor@alder.example',
        'jorge@alder.example',
        'is asked again, and the links in earlier mails stop working',
        'phone the activation call centre before then, on a number that you already have',
        'on the Authorized Contact List',
      ],
    ],
    [
      'AGR-4 to the one who leaves',
      'correspondent changes, to the former',
      ['Until then you are asked', 'because you are the Notices Correspondent'],
    ],
    [
      'AGR-4 to the one who follows',
      'correspondent changes, to the successor',
      ['You become the Notices Correspondent', 'We ask you by e-mail', 'because you were named'],
    ],
    [
      'AGR-4 when it has taken effect before the mail went out',
      'correspondent changed, to a contact',
      [`It took effect on ${effect}.`, 'Jorge Ruiz is now', 'phone the activation call centre now'],
    ],
    ['AGR-4 the same to the one who left', 'correspondent changed, to the former', ['because you were the Notices']],
    ['AGR-4 the same to the one who followed', 'correspondent changed, to the successor', ['You are now the Notices']],
    [
      'ALR-1 ALR-2 what is used and left, when it runs out, and both ways to more',
      'MAK at 80 %',
      [
        '84 of the 100 activations of your MAK ending in BCDFG are used; 16 are left.',
        'At the pace of the last four weeks you run out on 24 June; ask by 16 June.',
        'up to twice what the key was issued with',
        'for more than that. It is answered within 5 business days',
        'your Notices Correspondent has to approve it',
        'We write once at 80%, 95% and 100% of a limit.',
      ],
    ],
    ['ALR-1 one that is left', 'MAK at 95 %, nothing to forecast', ['are used; 1 is left.', '1 activation']],
    [
      'ALR-1 that nothing is left, and what is refused',
      'MAK used up',
      ['All 100 activations of your MAK ending in BCDFG are used. A machine that has not activated', 'To get more:'],
    ],
    ['ALR-1 large numbers as people read them', 'large MAK', ['120,000 of the 150,000 activations', '30,000 are left']],
    [
      'ALR-1 the host places of a KMS key',
      'KMS key at 80 %',
      ['5 of the 6 host places of your KMS key ending in HJKMP are used; 1 is left.', 'KMSADD', 'up to 5 for each key'],
    ],
    ['ALR-1 that a new host is refused', 'KMS key used up', ['All 6 host places', 'A new host is refused']],
    [
      'KMS-4 how many came how fast, and where the key belongs',
      'KMS key on clients',
      [
        '3 new hosts activated with your KMS key ending in HJKMP within 24 hours',
        'A KMS key belongs on KMS hosts only',
        'They are clients: please type the key on no further one',
        'blocked and a new one assigned',
      ],
    ],
    [
      'BLK-2 BLK-3 VAL-1 both keys, why, what to do, and until when the machines stay genuine',
      'MAK replaced',
      [
        'Your MAK ending in BCDFG is blocked',
        'ending in QRTVW, was issued in its place',
        'The key was posted on a public page. Nobody knows by whom.',
        'each drops off as it activates with the new one',
        'for 30 days after it was blocked',
      ],
    ],
    ['BLK-2 the same of a KMS key', 'KMS key replaced', ['every KMS host that used the old one']],
  ])('%s', (_, name, facts) => {
    const mail = named(name);
    for (const fact of facts) {
      expect(`${mail.subject} ${plainTextIn(mail.text)}`).toContain(fact);
      expect(visibleTextIn(mail.html)).toContain(fact);
    }
  });

  it('ALR-1 says in the subject how much of which key', () => {
    expect(named('MAK at 80 %').subject).toBe(
      '80% of the activations of your MAK ending in BCDFG are used (agreement E-1001)',
    );
    expect(named('KMS key used up').subject).toBe(
      'All host places of your KMS key ending in HJKMP are used (agreement E-1001)',
    );
  });

  it('ALR-2 forecasts nothing where there is nothing to say', () => {
    expect(named('MAK at 95 %, nothing to forecast').text).not.toContain('At the pace');
  });

  it('AGR-4 speaks of the change as to come until the moment of it', () => {
    const at = (now: typeof mondayTen) =>
      renderAgreementEmail(aNotification(correspondentChanges), { ...contactEmailContext, now });
    expect(at(mondayTen).subject).toContain('becomes');
    expect(at(tuesdayTen).subject).toContain('is now');
  });

  it('knows its reader by the address, however it is written', () => {
    const to = { ...jorge, email: ' JORGE@Alder.example ' };
    expect(renderAgreementEmail(aNotification(correspondentChanges, { to }), contactEmailContext).subject).toContain(
      'You become',
    );
  });
});

describe('what others wrote in a notice', () => {
  const write = (of: string) => [
    renderAgreementEmail(aNotification(makReplaced, { organizationName: of }), contactEmailContext),
    renderAgreementEmail(
      aNotification(
        { ...correspondentChanges, to: { ...jorge, name: of } },
        { to: { ...noor, name: of }, organizationName: of },
      ),
      contactEmailContext,
    ),
    renderAgreementEmail(aNotification(makUsed, { organizationName: of }), contactEmailContext),
    renderAgreementEmail(aNotification(kmsUsed, { to: { name: of, email: noor.email } }), contactEmailContext),
    renderAgreementEmail(aNotification(onClients, { organizationName: of }), contactEmailContext),
  ];

  it('can neither make markup nor a link nor a second header', () => {
    const skeletons = write(mallory.name).map(({ html }) => tagsIn(html));
    const nasty = fc.array(
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
      fc.property(nasty, (parts) => {
        const of = parts.join('');
        for (const [index, mail] of write(of).entries()) {
          expect(mail.subject).not.toMatch(/[\r\n]/);
          expect(htmlErrorsIn(mail.html)).toEqual([]);
          expect(tagsIn(mail.html)).toEqual(skeletons[index]);
          expect(mail.text).not.toMatch(/https?:\/\/(?!portal\.licensing\.example\/)/);
        }
      }),
      { numRuns: 60 },
    );
  });
});
