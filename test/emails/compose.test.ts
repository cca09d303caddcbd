import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { addDuration } from '../../domain/calendar/instant.ts';
import type { DirectRecipient, NotificationKind } from '../../domain/exceptions/notification.ts';
import { notificationKinds } from '../../domain/exceptions/notification.ts';
import type { ExceptionRequest, RequestState } from '../../domain/exceptions/request.ts';
import { assignTo } from '../../domain/exceptions/sla-clock.ts';
import { renderEmail } from '../../emails/compose.ts';
import type { Email } from '../../emails/layout.ts';
import type { EmailContext } from '../../emails/request-email.ts';
import {
  ines,
  policy,
  requestApproved,
  requestAwaitingApproval,
  requestAwaitingRequester,
  requestDenied,
  requestFulfilled,
  requestInReview,
  requestReceived,
  requestRejected,
} from '../builders.ts';
import { mondayTen, nextMondayFive, nextWednesdayFive, wednesdayNoon } from '../instants.ts';
import { htmlErrorsIn, linksIn, numbersIn, plainTextIn, tagsIn, visibleTextIn } from './html-reader.ts';
import { code, consoleUrl, emailContext, link, requestEmailSamples, strictLink, url } from './request-email-samples.ts';

const recipients: readonly DirectRecipient[] = ['requester', 'correspondent', 'team', 'supervisors'];

function written(kind: NotificationKind, facts: EmailContext): Email {
  const mail = renderEmail(kind, facts);
  if (mail === undefined) throw new Error(`nothing to say: ${kind}`);
  return mail;
}

function named(name: string): Email {
  const found = requestEmailSamples.find((letter) => letter.name === name);
  if (found === undefined) throw new Error(`no such letter: ${name}`);
  return written(found.kind, found.context);
}

describe('the letters together', () => {
  it('EXC-11 there is one of every kind', () => {
    expect(new Set(requestEmailSamples.map(({ kind }) => kind))).toEqual(new Set(notificationKinds));
  });

  const pairs = new Set(requestEmailSamples.map(({ kind, context: facts }) => `${kind} to ${facts.to.role}`));
  const others = notificationKinds.flatMap((kind) =>
    recipients.filter((role) => !pairs.has(`${kind} to ${role}`)).map((role) => ({ kind, role })),
  );

  it.each(others)('$kind never goes to the $role', ({ kind, role }) => {
    expect(() => renderEmail(kind, emailContext(role, { link }))).toThrow(
      `The ${role} gets no letter of the kind “${kind}”.`,
    );
  });
});

describe.each(requestEmailSamples)('the letter “$name”', ({ kind, context: facts }) => {
  const mail = written(kind, facts);
  const html = visibleTextIn(mail.html);
  const text = plainTextIn(mail.text);

  it('names the request, in a subject of one line that says what it is about', () => {
    expect(mail.subject.split(facts.request.exceptionId)).toHaveLength(2);
    expect(mail.subject.length).toBeLessThan(100);
    expect(mail.subject).not.toMatch(/[\r\n]/);
  });

  it('greets its reader and names the request in both parts', () => {
    for (const part of [html, text]) {
      expect(part).toContain(`Hello ${facts.to.name},`);
      expect(part).toContain(`request ${facts.request.exceptionId}`);
    }
  });

  it('says the same numbers in both parts', () => {
    expect(numbersIn(html)).toEqual(numbersIn(text));
  });

  it('holds no hole where a fact should stand, and no mask of a secret', () => {
    for (const part of [mail.subject, mail.text, mail.html]) {
      expect(part).not.toMatch(/undefined|\bnull\b|\bNaN\b|\[object|\[secret\]|\$\{/);
    }
    expect(text).not.toMatch(/ {2}|\s[,.;:](?:\s|$)|[.,]{2}|[.!?;:,][A-Z]/);
  });

  it('is well-formed, without an image, a script or anything from elsewhere', () => {
    expect(htmlErrorsIn(mail.html)).toEqual([]);
    expect(mail.html).not.toMatch(/<(?:img|script|iframe|link|form)|\bsrc=|url\(|@import/);
    expect(linksIn(mail.html).filter((target) => target !== url && target !== consoleUrl)).toEqual([]);
  });

  it('has one thing to do at the most', () => {
    expect(mail.html.match(/class="button"/g)?.length ?? 0).toBeLessThanOrEqual(1);
  });

  it('names no place to sign in where there is none', () => {
    const { consoleUrl: _, ...nowhere } = facts;
    const other = written(kind, nowhere);
    expect(other.text + other.html).not.toContain(consoleUrl);
    expect(htmlErrorsIn(other.html)).toEqual([]);
  });

  it('APR-1 shows the link and the code to the Correspondent alone, in the mail that asks', () => {
    const carried = written(kind, { ...facts, link });
    const asks = kind === 'approval-requested' || kind === 'approval-reminder';
    const brings = kind === 'approval-code';
    const disowns = kind === 'decided' && facts.to.role === 'correspondent';
    for (const part of [carried.text, carried.html]) {
      expect(part.includes(code)).toBe(asks || brings);
      expect(part.includes(url)).toBe(asks || disowns);
    }
    expect(carried.subject + carried.html.slice(0, carried.html.indexOf('Hello'))).not.toContain(code);
  });
});

describe('what each letter has to say, in both parts', () => {
  const due = 'Monday 8 June 2026, 17:00 (America/Los_Angeles, UTC−7)';
  const lapse = 'Monday 15 June 2026, 10:00 (America/Los_Angeles, UTC−7)';

  it.each<[rule: string, letter: string, facts: readonly string[]]>([
    [
      'APR-2 who asks, for what, why, by when, what each decision does, and that opening the link changes nothing',
      'correspondent: approval wanted',
      [
        'Inés Oliveira of Alder School District has asked for 150 more activations',
        'You are the Notices Correspondent of agreement E-1001',
        'ines@alder.example',
        'Windows Vista Business',
        '(MAK) ending in BCDFG',
        '200 activations',
        '350 activations',
        'Monday 4 January 2027',
        'Two new schools, Elm and Fir, open in autumn.',
        due,
        `The link works until ${lapse}. Without a decision by then the request lapses.`,
        'Approve: the limit of this key rises from 200 to 350 activations',
        'Deny: the limit stays at 200 activations',
        code,
        'Opening the link changes nothing',
        'If you did not expect this',
        'without your approval nothing changes',
        'You can deny the request',
        'phone Inés Oliveira first, on a number that you already have',
      ],
    ],
    [
      'EXC-9 counts hosts for a KMS key, and what a host may do',
      'correspondent: approval wanted, KMS',
      ['10 more KMS hosts', '6 KMS hosts', 'rises from 6 to 16 KMS hosts', 'activated up to 10 times', 'HJKMP'],
    ],
    [
      'APR-7 in strict mode that the page sends a code, and for how long it is good',
      'correspondent: approval wanted, strict',
      ['It can send a code to this address, good for 10 minutes'],
    ],
    [
      'AGR-5 to the deputy, for whom they stand in',
      'correspondent: approval wanted, deputy',
      ['You stand in for Noor Haddad, who is the Notices Correspondent', 'deputy of the Notices Correspondent'],
    ],
    [
      'SLA-5 in a reminder, when it was asked first and that the earlier links work',
      'correspondent: approval reminder',
      [
        'We asked you first on Monday 1 June 2026, 10:00',
        'The links in our earlier mails about this request still work',
        due,
        code,
      ],
    ],
    ['SLA-4 in a late reminder, that it is late', 'correspondent: approval reminder, late', ['late already']],
    [
      'EXC-13 that it came, its number, and when the answer is due',
      'requester: received, plain',
      ['Its number is X-1.', `Our answer is due by ${due}.`, 'we ask Noor Haddad', '150 more activations'],
    ],
    [
      'EXC-8 SLA-3 SLA-7 that the team reads it first, why it takes longer, and that the date is sooner',
      'requester: received, flagged',
      [
        'our exceptions team reads it first',
        '5 business days more than usual',
        'You need it by Wednesday 3 June 2026, which is sooner',
        'Monday 15 June 2026, 17:00',
        '1,200 more activations',
      ],
    ],
    [
      'SLA-2 EXC-14 the question, how to answer, what is left when the clock stands, and when it lapses',
      'requester: question',
      [
        'Which schools? And how many seats has each?',
        'Please answer by replying to this mail.',
        'The clock stands until you answer. Then 9 business days and 7 hours will be left for our answer.',
        'If we hear nothing by Tuesday 16 June 2026, 10:00',
      ],
    ],
    [
      'EXC-6 who is asked, and when it lapses',
      'requester: forwarded',
      ['we asked Noor Haddad', 'approve 150 more activations', `Without an answer by ${lapse}`, due],
    ],
    [
      'EXC-7 that the team put forward a smaller number',
      'requester: forwarded, fewer',
      ['149 more activations', 'You asked for 150 activations.', 'a smaller number, 149'],
    ],
    [
      'APR-8 to the requester, that it was approved, by whom, with what comment',
      'requester: approved',
      ['was approved on Tuesday 2 June 2026, 10:00', 'noor@alder.example', 'Agreed with the board.'],
    ],
    [
      'APR-8 to the Correspondent, what was decided, and what to do if it was not them',
      'correspondent: decided, approved',
      ['was approved by noor@alder.example', 'Agreed with the board.', 'If this was not you', 'Reply to this mail'],
    ],
    [
      'APR-8 to the Correspondent, that it was denied',
      'correspondent: decided, denied',
      ['was denied by noor@alder.example', 'Please use the KMS host.', 'the limit stays as it is'],
    ],
    [
      'APR-8 to the Correspondent, the link to disown it',
      'correspondent: decided, with a link to disown it',
      ['This was not me', url],
    ],
    [
      'EXC-9 the limit as it is now',
      'requester: fulfilled',
      ['Your MAK ending in BCDFG now allows 350 activations in all.', '150 more activations'],
    ],
    ['EXC-9 the places of a KMS key', 'requester: fulfilled, KMS', ['16 KMS hosts in all', 'up to 10 times']],
    [
      'APR-7 the code by itself, for how long it is good, and what to do if it was not asked for',
      'correspondent: approval code',
      [
        '73051948',
        'on the page that is still open',
        'good until Tuesday 2 June 2026, 10:10 (America/Los_Angeles, UTC−7), which is 10 minutes after',
        'Give the code to nobody',
        'nothing changes',
      ],
    ],
    [
      'APR-8 that a decision is disputed before the limit was raised, and where the request is',
      'team: disputed in time',
      ['was not theirs', 'The limit was not raised. The request waits for the exceptions team.', 'Please phone them'],
    ],
    [
      'APR-8 that a decision is disputed too late, and what can be done',
      'team: disputed too late',
      ['The limit was raised already', '350 activations in all', 'the key can be blocked and a new one assigned'],
    ],
    ['APR-8 the same to the supervisors', 'supervisors: disputed', ['The limit was raised already', 'Noor Haddad']],
    [
      'EXC-6 that the Correspondent has not been reached, and that only the agreement can change that',
      'team: undeliverable',
      ['asks Noor Haddad', 'could not be delivered', 'change it in the agreement', `lapses on ${lapse}`],
    ],
    [
      'EXC-6 to the requester, that the Correspondent has not been reached, and what to do',
      'requester: undeliverable',
      ['the approval of Noor Haddad', 'could not be delivered', 'have it changed in the agreement', due],
    ],
    ['EXC-9 the same to the Correspondent', 'correspondent: fulfilled', ['350 activations in all']],
    [
      'EXC-11 that it was denied, why, and whom to talk to',
      'requester: denied',
      ['was denied on Tuesday 2 June 2026', 'Please use the KMS host.', 'stays as it was', 'talk to Noor Haddad'],
    ],
    ['EXC-7 the reason of a rejection', 'requester: rejected', ['Too many.', 'stays as it was']],
    ['EXC-8 that it had been approved', 'requester: rejected after approval', ['It had been approved before']],
    [
      'EXC-11 to the Correspondent, that nothing is left to decide',
      'correspondent: rejected',
      ['Our exceptions team closed it', 'decide nothing now', 'The key was blocked'],
    ],
    [
      'EXC-10 who withdrew it, and why',
      'requester: withdrawn',
      ['withdrawn on', 'ines@alder.example', 'No longer needed.'],
    ],
    ['EXC-10 the same to the team', 'team: withdrawn', ['withdrawn on', 'ines@alder.example', 'No longer needed.']],
    ['EXC-10 that nothing is needed', 'correspondent: withdrawn', ['Nothing is needed from you any more']],
    [
      'SLA-6 that the Correspondent was silent',
      'requester: lapsed, correspondent silent',
      ['We asked Noor Haddad', 'no answer for 10 business days', 'talk to Noor Haddad and then ask again'],
    ],
    [
      'SLA-6 that the requester was silent',
      'requester: lapsed, requester silent',
      ['We put a question to you', 'no answer for 10 business days'],
    ],
    ['SLA-6 the same to the Correspondent', 'correspondent: lapsed', ['no decision within 10 business days']],
    [
      'SLA-6 the same to the team',
      'team: lapsed',
      ['the Notices Correspondent did not answer within 10 business days'],
    ],
    [
      'EXC-8 EXC-6 why it comes to the team, and the other Correspondent whom it names',
      'team: review wanted',
      [
        'in “pt-BR”',
        'more than 1,000',
        'it names Mallory Crane (mallory@birch[.]example)',
        'the one of the agreement, Noor Haddad, will be asked',
        'needed by Wednesday 3 June 2026, before our answer is due',
        '1,400 activations',
        '+1 425 555 0101',
      ],
    ],
    ['SLA-2 the answer, and the due time', 'team: answered', ['Elm and Fir. Elm has 80 seats', `due by ${due}`]],
    ['SLA-2 where the answer is', 'team: answered, answer not at hand', ['in the history of the request']],
    [
      'SLA-5 what is left, and who has the ball',
      'team: due soon',
      [
        `due by ${due}`,
        '2 business days',
        'The request waits for the Notices Correspondent, Noor Haddad',
        `lapses on ${lapse}`,
      ],
    ],
    ['SLA-5 that it waits for the team', 'team: due soon, in review', ['The request waits for the exceptions team.']],
    ['SLA-5 that it is due', 'team: overdue', [`due by ${due}`, 'supervisors are told of it on every business day']],
    [
      'SLA-4 SLA-5 to the supervisors at breach, with whom it lay',
      'supervisors: overdue at breach',
      ['It is late from now on.', 'It lay longest with the Notices Correspondent: 5 business days and 7 hours'],
    ],
    [
      'SLA-4 SLA-5 to the supervisors later, by how much it is late',
      'supervisors: overdue, two days later',
      ['Our answer was due by', 'It is late by 2 business days.', '7 business days and 7 hours'],
    ],
    [
      'SLA-4 to the supervisors, that it has ended',
      'supervisors: overdue, closed meanwhile',
      ['It ended late by 2 business days.', 'The request has ended: it is rejected.'],
    ],
  ])('%s', (_, letter, facts) => {
    const mail = named(letter);
    for (const fact of facts) {
      expect(plainTextIn(mail.text)).toContain(fact);
      expect(visibleTextIn(mail.html)).toContain(fact);
    }
  });

  it('SLA-1 asks the Correspondent to decide by the due time until it is past', () => {
    const request = requestAwaitingApproval();
    const at = (now: EmailContext['now']) =>
      plainTextIn(written('approval-reminder', emailContext('correspondent', { request, link, now })).text);
    expect(at(nextMondayFive)).toContain(`Decide by: ${due}`);
    expect(at(addDuration(nextMondayFive, { seconds: 1 }))).toContain(
      'Decide: as soon as you can: our answer is late already',
    );
  });

  it('APR-7 has no code in strict mode', () => {
    expect(named('correspondent: approval wanted, strict').text).not.toContain('Your code');
    expect(plainTextIn(named('correspondent: approval wanted, strict').text)).not.toMatch(/\b\d{6}\b/);
  });

  it('SLA-4 blames the team when the team had it longest', () => {
    const request = requestInReview();
    const late = written('overdue', emailContext('supervisors', { request, now: nextWednesdayFive }));
    expect(plainTextIn(late.text)).toContain('It lay longest with the exceptions team: 7 business days and 7 hours.');
  });

  it('EXC-7 tells the Correspondent what was asked for at first, where the team put forward less', () => {
    const request = { ...requestAwaitingApproval(), activations: 90 };
    const asked = written('approval-requested', emailContext('correspondent', { request, link }));
    expect(asked.text).toContain('Asked for: 90 more activations\n  Asked for at first: 150 activations');
    expect(plainTextIn(asked.text)).toContain('rises from 200 to 290 activations');
  });

  it('says one activation and one host in the singular', () => {
    const mak = { ...requestAwaitingApproval(), activations: 1 };
    expect(written('approval-requested', emailContext('correspondent', { request: mak, link })).subject).toContain(
      '1 more activation for',
    );
    const kms = emailContext('correspondent', { request: mak, link, keyType: 'KMS', limit: 1 });
    expect(plainTextIn(written('approval-requested', kms).text)).toContain(
      'Limit now: 1 KMS host Limit if approved: 2 KMS hosts',
    );
  });

  it('AGR-1 names an Open agreement by both of its numbers', () => {
    const { agreementNumber: _, ...intake } = { agreementNumber: '', ...requestAwaitingApproval().form };
    const request: ExceptionRequest = {
      ...requestAwaitingApproval(),
      form: { ...intake, authorizationNumber: '98765432ZZZ', licenseNumber: '12345678' },
    };
    const asked = written('approval-requested', emailContext('correspondent', { request, link }));
    expect(plainTextIn(asked.text)).toContain('authorization 98765432ZZZ, license 12345678');
  });

  it('marks a requester who is the Correspondent as well, for the team', () => {
    const request: ExceptionRequest = { ...requestInReview(), flags: ['requester-is-correspondent'] };
    const review = written('review-requested', emailContext('team', { request }));
    expect(plainTextIn(review.text)).toContain('the requester is the Notices Correspondent as well');
  });

  it('leaves a comment out that says nothing', () => {
    const request = requestApproved();
    const decision = { decision: 'approve', at: mondayTen, by: ines.email, comment: ' \n' } as const;
    const stage: RequestState = {
      status: 'awaiting-approval',
      round: { number: 1, askedAt: mondayTen, remindersSent: 0, undeliverableAt: null, decision },
    };
    expect(written('decided', emailContext('requester', { request: { ...request, state: stage } })).text).not.toContain(
      'comment',
    );
  });
});

describe('a letter that is owed for something that is no longer so', () => {
  const asking = requestAwaitingApproval();
  const overtaken = {
    ...requestAwaitingRequester(),
    clock: assignTo(asking.clock, 'requester', wednesdayNoon, policy),
  };

  it.each<[why: string, kind: NotificationKind, role: DirectRecipient, request: ExceptionRequest]>([
    ['an approval is wanted, but the team asks the requester first', 'approval-requested', 'correspondent', overtaken],
    ['an approval is wanted, but it was given', 'approval-requested', 'correspondent', requestApproved()],
    ['an approval is wanted, but it was denied', 'approval-requested', 'correspondent', requestDenied()],
    ['a reminder, but it was approved', 'approval-reminder', 'correspondent', requestApproved()],
    ['a reminder, but nothing is asked', 'approval-reminder', 'correspondent', overtaken],
    ['a question, but it was answered', 'question', 'requester', requestInReview()],
    ['a review, but it was forwarded', 'review-requested', 'team', asking],
    ['forwarded, but called back', 'forwarded', 'requester', overtaken],
    ['a code, but it was approved', 'approval-code', 'correspondent', requestApproved()],
    ['a code, but nothing is asked', 'approval-code', 'correspondent', overtaken],
    ['not delivered, but decided', 'undeliverable', 'team', requestApproved()],
    ['not delivered, but called back', 'undeliverable', 'requester', overtaken],
    ['disputed, but it is not', 'disputed', 'team', requestApproved()],
    ['disputed, but it is not', 'disputed', 'supervisors', requestFulfilled()],
    ['decided, but nothing is', 'decided', 'correspondent', asking],
    ['approved, but it was denied', 'decided', 'requester', requestDenied()],
    ['denied, but nothing is', 'denied', 'requester', asking],
    ['rejected, but it is not', 'rejected', 'team', asking],
    ['rejected, but it is not', 'rejected', 'requester', asking],
    ['rejected, but it is not', 'rejected', 'correspondent', asking],
    ['withdrawn, but it is not', 'withdrawn', 'requester', asking],
    ['withdrawn, but it is not', 'withdrawn', 'correspondent', asking],
    ['withdrawn, but it is not', 'withdrawn', 'team', asking],
    ['lapsed, but it is not', 'lapsed', 'requester', asking],
    ['lapsed, but it is not', 'lapsed', 'correspondent', asking],
    ['lapsed, but it is not', 'lapsed', 'team', asking],
    ['due soon, but it has ended', 'due-soon', 'team', requestFulfilled()],
    ['due now, but it has ended', 'overdue', 'team', requestRejected()],
    ['due now, but the clock stands with time left', 'overdue', 'team', overtaken],
    ['late, but the clock stands with time left', 'overdue', 'supervisors', overtaken],
    ['late, but it ended in time', 'overdue', 'supervisors', requestFulfilled()],
  ])('is not written: %s', (_, kind, role, request) => {
    expect(renderEmail(kind, emailContext(role, { request, link, now: nextMondayFive }))).toBeUndefined();
  });

  it('cannot be an approval without its link', () => {
    expect(() => renderEmail('approval-requested', emailContext('correspondent', { request: asking }))).toThrow(
      'has no link',
    );
  });

  it('cannot be a code letter without its code', () => {
    const strict = emailContext('correspondent', { request: asking, link: strictLink });
    expect(() => renderEmail('approval-code', strict)).toThrow('has no code');
    expect(() => renderEmail('approval-code', { ...strict, link: null })).toThrow('has no code');
  });

  it('still says what is true of a request that went on: that the Correspondent had been asked', () => {
    expect(renderEmail('forwarded', emailContext('requester', { request: requestApproved() }))).toBeDefined();
  });

  it('SLA-2 tells when a receipt goes out late that the clock stands by now', () => {
    const late = written('received', emailContext('requester', { request: overtaken }));
    expect(plainTextIn(late.text)).toContain('The clock stands until you answer. Then 3 business days and 5 hours');
  });
});

describe('words of others', () => {
  const nasty = [
    '</td></tr></table></div><h1>APPROVED</h1>',
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '&lt;b&gt;&#60;i&#62;',
    '<!-- ',
    ' -->',
    '\r\nBcc: everyone@evil.example\r\n',
    '\n\nYour code for the page:\n\n    111111\n',
    '\u2028Hello\u2029there\u0085you\u000b\u000c',
    '\u202egnp.exe\u202c',
    '\u2066\u2067\u2068\u200f\u061c',
    '\u0000\u0007\u001b[31m\u007f\u009b',
    '\ufeff\u200b\u00ad\u2060\u{e0041}',
    'https://evil.example/login',
    'HTTP://EVIL.EXAMPLE',
    'www.evil.example',
    'write to boss@evil.example',
    'mailto:boss@evil.example',
    '\\\\evil.example\\share',
    'ev\u200bil.exam\u00adple',
    '👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿❤️',
    'مرحبا بالعالم 500 و 600',
    'שלום, עולם (150)',
    `Z${'\u0301'.repeat(40)}`,
    'W'.repeat(400),
    `a${' '.repeat(300)}b${'\u3164'.repeat(80)}c`,
    '> quoted\n> twice',
    '-- \nVolume Activation',
    '\ud800 lone \udc00',
    '${' + 'policy}',
    '日本語。テキスト',
  ];
  // It begins with a letter, so that no reason is empty and no comment left out.
  const words = fc
    .array(
      fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...nasty) }, fc.string({ unit: 'binary', maxLength: 40 })),
      {
        maxLength: 12,
      },
    )
    .map((parts) => `a${parts.join(' ')}`.slice(0, 4000));
  const others = fc.record({
    organizationName: words,
    name: words,
    reader: words,
    correspondentName: words,
    productName: words,
    phone: words,
    language: words,
    reason: words,
    said: words,
  });

  function spoiled(
    facts: EmailContext,
    from: typeof others extends fc.Arbitrary<infer Words> ? Words : never,
  ): EmailContext {
    const { request, to } = facts;
    const { form: intake } = request;
    const other = { name: from.name, email: from.said, phone: from.phone };
    return {
      ...facts,
      organizationName: from.organizationName,
      correspondentName: from.correspondentName,
      productName: from.productName,
      to: { ...to, name: from.reader, ...(to.deputyOf === undefined ? {} : { deputyOf: from.correspondentName }) },
      answer: facts.answer === null ? null : from.said,
      request: {
        ...request,
        state: spoiledStage(request.state, from.said),
        form: {
          ...intake,
          organizationName: from.organizationName,
          businessReason: from.reason,
          language: from.language,
          requester: { ...intake.requester, name: from.name, phone: from.phone },
          noticesCorrespondent: intake.noticesCorrespondent === null ? null : other,
        },
      },
    };
  }

  function spoiledStage(stage: RequestState, said: string): RequestState {
    const stained: RequestState = 'question' in stage ? { ...stage, question: said } : stage;
    const reasoned: RequestState =
      stained.status === 'rejected' || (stained.status === 'withdrawn' && stained.reason !== null)
        ? { ...stained, reason: said }
        : stained;
    if (!('round' in reasoned) || reasoned.round === null || reasoned.round.decision?.comment === undefined)
      return reasoned;
    const { decision } = reasoned.round;
    const comment = decision.comment === null ? null : said;
    return { ...reasoned, round: { ...reasoned.round, decision: { ...decision, comment } } } as RequestState;
  }

  const anyLetter = fc.constantFrom(...requestEmailSamples);
  const runs = { numRuns: 400 };
  const ofOneLine = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u{e0000}-\u{e00ff}]/u;

  it('cannot break out of the subject: one line, bounded, without controls', () => {
    fc.assert(
      fc.property(anyLetter, others, ({ kind, context: facts }, from) => {
        const { subject } = written(kind, spoiled(facts, from));
        expect(subject).not.toMatch(ofOneLine);
        expect(subject.length).toBeLessThanOrEqual(150);
        expect(subject.isWellFormed()).toBe(true);
        expect(subject).toMatch(/ \(X-1\)$/);
      }),
      runs,
    );
  });

  it('cannot change a tag, an attribute or a link of the page', () => {
    // A quotation has a line for each of theirs; nothing else in a page depends on what they wrote.
    const frame = (html: string) =>
      tagsIn(html)
        .join('')
        .replace(/(<div class="ink" [^>]*><\/div>)+/g, '(lines)');
    fc.assert(
      fc.property(anyLetter, others, ({ kind, context: facts }, from) => {
        const calm = written(kind, facts).html;
        const { html } = written(kind, spoiled(facts, from));
        expect(htmlErrorsIn(html)).toEqual([]);
        expect(frame(html)).toBe(frame(calm));
        expect(linksIn(html)).toEqual(linksIn(calm));
      }),
      runs,
    );
  });

  it('cannot pass for ours in the text: every line of a quotation is marked, and the letter around it stays as it is', () => {
    const codes = (text: string) => text.split('\n\n').filter((part) => /^ {4}\d+$/.test(part));
    const ours = (text: string) => text.split('\n\n').filter((part) => !part.startsWith('>')).length;
    fc.assert(
      fc.property(anyLetter, others, ({ kind, context: facts }, from) => {
        const calm = written(kind, facts).text;
        const { text } = written(kind, spoiled(facts, from));
        expect(ours(text)).toBe(ours(calm));
        expect(codes(text)).toEqual(codes(calm));
        for (const line of text.split('\n')) {
          if (line !== url) expect(line.length).toBeLessThanOrEqual(72);
        }
      }),
      runs,
    );
  });

  it('bring no control character, no change of direction that does not end, and no link', () => {
    const isolates = /\u2068[^\u2068\u2069\n]*(?:\n[^\u2068\u2069\n]*)*\u2069/g;
    fc.assert(
      fc.property(anyLetter, others, ({ kind, context: facts }, from) => {
        const mail = written(kind, spoiled(facts, from));
        for (const part of [mail.text, visibleTextIn(mail.html)]) {
          expect(part.replaceAll('\n', ' ').replace(isolates, '')).not.toMatch(ofOneLine);
          expect(part.isWellFormed()).toBe(true);
          const links = part
            .replaceAll(url, '')
            .replaceAll(consoleUrl, '')
            .replace(/\b\w+@(?:alder|licensing)\.example/g, '');
          expect(links).not.toMatch(/:\/\/|\bmailto:|\\\\(?!\])|[^\s[]\.\p{L}[\p{L}\p{N}]/iu);
        }
      }),
      runs,
    );
  });

  it('are quoted whole, however long', () => {
    const reason = Array.from({ length: 400 }, (_, index) => `reason-${index}`)
      .join(' ')
      .slice(0, 4000);
    const request = requestReceived({ form: { businessReason: reason } });
    const mail = written('received', emailContext('requester', { request }));
    expect(plainTextIn(mail.text)).toContain(reason);
    expect(visibleTextIn(mail.html)).toContain(reason);
  });
});
