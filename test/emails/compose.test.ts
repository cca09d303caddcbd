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

function render(kind: NotificationKind, context: EmailContext): Email {
  const email = renderEmail(kind, context);
  if (email === undefined) throw new Error(`The “${kind}” email is not sent.`);
  return email;
}

function renderSample(name: string): Email {
  const sample = requestEmailSamples.find((each) => each.name === name);
  if (sample === undefined) throw new Error(`There is no sample “${name}”.`);
  return render(sample.kind, sample.context);
}

describe('the registry of request emails', () => {
  it('EXC-11 has an email of every notification kind', () => {
    expect(new Set(requestEmailSamples.map(({ kind }) => kind))).toEqual(new Set(notificationKinds));
  });

  const pairs = new Set(requestEmailSamples.map(({ kind, context }) => `${kind} to ${context.to.role}`));
  const otherPairs = notificationKinds.flatMap((kind) =>
    recipients.filter((role) => !pairs.has(`${kind} to ${role}`)).map((role) => ({ kind, role })),
  );

  it.each(otherPairs)('has no $kind email to the $role', ({ kind, role }) => {
    expect(() => renderEmail(kind, emailContext(role, { link }))).toThrow(
      `There is no “${kind}” email for the ${role}.`,
    );
  });
});

describe.each(requestEmailSamples)('the email “$name”', ({ kind, context }) => {
  const email = render(kind, context);
  const html = visibleTextIn(email.html);
  const text = plainTextIn(email.text);

  it('has a subject of one line that names the request once', () => {
    expect(email.subject.split(context.request.exceptionId)).toHaveLength(2);
    expect(email.subject.length).toBeLessThan(100);
    expect(email.subject).not.toMatch(/[\r\n]/);
  });

  it('greets its reader and names the request in both parts', () => {
    for (const part of [html, text]) {
      expect(part).toContain(`Hello ${context.to.name},`);
      expect(part).toContain(`request ${context.request.exceptionId}`);
    }
  });

  it('has the same numbers in both parts', () => {
    expect(numbersIn(html)).toEqual(numbersIn(text));
  });

  it('has no missing value and no masked secret', () => {
    for (const part of [email.subject, email.text, email.html]) {
      expect(part).not.toMatch(/undefined|\bnull\b|\bNaN\b|\[object|\[secret\]|\$\{/);
    }
    expect(text).not.toMatch(/ {2}|\s[,.;:](?:\s|$)|[.,]{2}|[.!?;:,][A-Z]/);
  });

  it('is well-formed and loads no image, script, or other resource', () => {
    expect(htmlErrorsIn(email.html)).toEqual([]);
    expect(email.html).not.toMatch(/<(?:img|script|iframe|link|form)|\bsrc=|url\(|@import/);
    expect(linksIn(email.html).filter((target) => target !== url && target !== consoleUrl)).toEqual([]);
  });

  it('has at most one button', () => {
    expect(email.html.match(/class="button"/g)?.length ?? 0).toBeLessThanOrEqual(1);
  });

  it('has no link to a console if there is none', () => {
    const { consoleUrl: _, ...withoutConsole } = context;
    const other = render(kind, withoutConsole);
    expect(other.text + other.html).not.toContain(consoleUrl);
    expect(htmlErrorsIn(other.html)).toEqual([]);
  });

  it('APR-1 shows the link and the code only to the Correspondent, in the email that asks for the decision', () => {
    const withLink = render(kind, { ...context, link });
    const hasLinkAndCode = kind === 'approval-requested' || kind === 'approval-reminder';
    const hasCode = kind === 'approval-code';
    const hasDisputeLink = kind === 'decided' && context.to.role === 'correspondent';
    for (const part of [withLink.text, withLink.html]) {
      expect(part.includes(code)).toBe(hasLinkAndCode || hasCode);
      expect(part.includes(url)).toBe(hasLinkAndCode || hasDisputeLink);
    }
    expect(withLink.subject + withLink.html.slice(0, withLink.html.indexOf('Hello'))).not.toContain(code);
  });
});

describe('the content of each email, in both parts', () => {
  const due = 'Monday 8 June 2026, 17:00 Pacific Time (UTC−7)';
  const lapse = 'Monday 15 June 2026, 10:00 Pacific Time (UTC−7)';

  it.each<[rule: string, sample: string, facts: readonly string[]]>([
    [
      'APR-2 asks the Correspondent with who requests what, why, the deadline, the effect of each decision, and that opening the link changes nothing',
      'correspondent: approval requested',
      [
        'Inés Oliveira of Alder School District has requested 150 more activations',
        'You are the Notices Correspondent of agreement E-1001',
        'ines@alder.example',
        'Windows Vista Business',
        '(MAK) ending in BCDFG',
        '200 activations',
        '350 activations',
        'Monday 4 January 2027',
        'Two new schools, Elm and Fir, open in autumn.',
        due,
        `The link expires on ${lapse}. Without a decision, the request lapses at the same time.`,
        'Approve: We raise the activation limit of this key from 200 to 350 activations right away',
        'Deny: The limit stays at 200 activations',
        code,
        'Opening the link changes nothing',
        'If you were not expecting this',
        'without your approval, nothing changes',
        'You can also deny the request',
        'call Inés Oliveira first on a phone number that you already have',
      ],
    ],
    [
      'EXC-9 counts hosts for a KMS key and explains what a host is',
      'correspondent: approval requested, KMS',
      [
        '10 more KMS hosts',
        '6 KMS hosts',
        'We raise the host limit of this key from 6 to 16 KMS hosts',
        'activated up to 10 times',
        'HJKMP',
      ],
    ],
    [
      'APR-7 says in strict mode that the page sends a code, and how long it is valid',
      'correspondent: approval requested, strict',
      ['the page can send one to this address, and it is valid for 10 minutes'],
    ],
    [
      'AGR-5 tells the deputy whose deputy they are',
      'correspondent: approval requested, deputy',
      ['You are the deputy of Noor Haddad, the Notices Correspondent', 'deputy of the Notices Correspondent'],
    ],
    [
      'SLA-5 says in a reminder when it was first asked and that earlier links work',
      'correspondent: approval reminder',
      [
        'We first asked you on Monday 1 June 2026, 10:00',
        'The links in our earlier emails about this request still work. Use each link with the code from the same email.',
        due,
        code,
      ],
    ],
    [
      'SLA-4 says in a late reminder that the response is overdue',
      'correspondent: approval reminder, late',
      ['response is overdue'],
    ],
    [
      'EXC-13 confirms the request with its id and the due time',
      'requester: received, plain',
      ['Your request X-1 for 150 more', `Our response is due by ${due}.`, 'we ask Noor Haddad', '150 more activations'],
    ],
    [
      'EXC-8 SLA-3 SLA-7 says that the team reviews it first, why it takes longer, and that the date is earlier',
      'requester: received, flagged',
      [
        'our exceptions team reviews your request',
        '5 business days longer than usual',
        'You need the increase by Wednesday 3 June 2026, which is earlier',
        'Monday 15 June 2026, 17:00',
        '1,200 more activations',
      ],
    ],
    [
      'SLA-2 EXC-14 asks the question, and says how to answer, how much time is left, and when the request lapses',
      'requester: question',
      [
        'Which schools? And how many seats has each?',
        'Reply to this email with your answer.',
        'The deadline is paused until you reply. After that, we have 9 business days and 7 hours left to respond.',
        'If we do not receive your answer by Tuesday 16 June 2026, 10:00',
      ],
    ],
    [
      'EXC-6 says who is asked and when the request lapses',
      'requester: forwarded',
      [
        'we asked Noor Haddad',
        'approve 150 more activations',
        `Without a decision, the request lapses on ${lapse}`,
        due,
      ],
    ],
    [
      'EXC-7 says that the team forwarded a smaller number',
      'requester: forwarded, fewer',
      ['149 more activations', 'You requested 150 activations.', 'a smaller number, 149'],
    ],
    [
      'APR-8 tells the requester that it was approved, by whom, and with which comment',
      'requester: approved',
      ['was approved on Tuesday 2 June 2026, 10:00', 'noor@alder.example', 'Agreed with the board.'],
    ],
    [
      'APR-8 tells the Correspondent what was decided, and what to do if it was not them',
      'correspondent: decided, approved',
      [
        'was approved by noor@alder.example',
        'Agreed with the board.',
        'If this was not you',
        'Call the activation call center right away',
      ],
    ],
    [
      'APR-8 tells the Correspondent that it was denied',
      'correspondent: decided, denied',
      ['was denied by noor@alder.example', 'Please use the KMS host.', 'the limit does not change'],
    ],
    [
      'APR-8 gives the Correspondent the link to dispute the decision',
      'correspondent: decided, with a dispute link',
      ['This was not me', url],
    ],
    [
      'EXC-9 tells the requester the new limit',
      'requester: fulfilled',
      ['Your MAK ending in BCDFG now allows 350 activations in total.', '150 more activations'],
    ],
    [
      'EXC-9 tells the requester the new host limit of a KMS key',
      'requester: fulfilled, KMS',
      ['16 KMS hosts in total', 'up to 10 times'],
    ],
    [
      'APR-7 brings the code, and says when it expires and what to do if it was not requested',
      'correspondent: approval code',
      [
        '73051948',
        'on the page that you have open',
        'expires on Tuesday 2 June 2026, 10:10 Pacific Time (UTC−7), 10 minutes after',
        'Do not share the code with anyone',
        'nothing changes',
      ],
    ],
    [
      'APR-8 tells the team of a decision disputed before the limit was raised, and where the request is',
      'team: disputed in time',
      [
        'was not theirs',
        'The limit has not been raised. The request is waiting for the exceptions team.',
        'call them on the phone number in the agreement',
      ],
    ],
    [
      'APR-8 tells the team of a decision disputed too late, and what it can do',
      'team: disputed too late',
      [
        'The limit has already been raised',
        '350 activations in total',
        'the key can be blocked and replaced with a new one',
      ],
    ],
    [
      'APR-8 tells the supervisors of a disputed decision',
      'supervisors: disputed',
      ['The limit has already been raised', 'Noor Haddad'],
    ],
    [
      'EXC-6 tells the team that the Correspondent was not reached, and that only the agreement can change that',
      'team: undeliverable',
      ['asks Noor Haddad', 'could not be delivered', 'change it in the agreement', `lapses on ${lapse}`],
    ],
    [
      'EXC-6 tells the requester that the Correspondent was not reached, and what to do',
      'requester: undeliverable',
      ['the approval of Noor Haddad', 'could not be delivered', 'have it changed in the agreement', due],
    ],
    ['EXC-9 tells the Correspondent the new limit', 'correspondent: fulfilled', ['350 activations in total']],
    [
      'EXC-11 tells the requester that it was denied, why, and whom to contact',
      'requester: denied',
      ['was denied on Tuesday 2 June 2026', 'Please use the KMS host.', 'did not change', 'contact Noor Haddad'],
    ],
    ['EXC-7 gives the reason of a rejection', 'requester: rejected', ['Too many.', 'did not change']],
    [
      'EXC-8 says that the rejected request had been approved',
      'requester: rejected after approval',
      ['had already been approved'],
    ],
    [
      'EXC-11 tells the Correspondent that there is nothing to decide',
      'correspondent: rejected',
      ['Our exceptions team closed it', 'no longer work', 'The key was blocked'],
    ],
    [
      'EXC-10 tells the requester who withdrew it, and why',
      'requester: withdrawn',
      ['withdrawn on', 'ines@alder.example', 'No longer needed.'],
    ],
    [
      'EXC-10 tells the team who withdrew it, and why',
      'team: withdrawn',
      ['withdrawn on', 'ines@alder.example', 'No longer needed.'],
    ],
    [
      'EXC-10 tells the Correspondent that they no longer need to decide',
      'correspondent: withdrawn',
      ['Your organization withdrew it', 'You no longer need to decide'],
    ],
    [
      'SLA-6 tells the requester that the Correspondent did not answer',
      'requester: lapsed, no decision',
      [
        'We asked Noor Haddad',
        'no answer within 10 business days',
        'contact Noor Haddad and then submit a new request',
      ],
    ],
    [
      'SLA-6 tells the requester that they did not answer',
      'requester: lapsed, no answer',
      ['We asked you a question', 'no answer within 10 business days'],
    ],
    [
      'SLA-6 tells the Correspondent that the request lapsed',
      'correspondent: lapsed',
      ['no decision within 10 business days'],
    ],
    [
      'SLA-6 tells the team that the request lapsed',
      'team: lapsed',
      ['the Notices Correspondent did not answer within 10 business days'],
    ],
    [
      'EXC-8 EXC-6 tells the team why it reviews the request, and which other Correspondent it names',
      'team: review requested',
      [
        'in “pt-BR”',
        'more than 1,000',
        'The request names Mallory Crane (mallory@birch[.]example)',
        'We ask only the Notices Correspondent of the agreement, Noor Haddad',
        'needed by Wednesday 3 June 2026, before our response is due',
        '1,400 activations',
        '+1 425 555 0101',
      ],
    ],
    [
      'SLA-2 gives the team the answer and the due time',
      'team: answered',
      ['Elm and Fir. Elm has 80 seats', `due by ${due}`],
    ],
    [
      'SLA-2 tells the team where to find an answer that is not loaded',
      'team: answered, answer not loaded',
      ['in the history of the request'],
    ],
    [
      'SLA-5 tells the team how much time is left and who has to act',
      'team: due soon',
      [
        `due by ${due}`,
        '2 business days',
        'The request is waiting for the Notices Correspondent, Noor Haddad',
        `lapses on ${lapse}`,
      ],
    ],
    [
      'SLA-5 tells the team that the request is waiting for it',
      'team: due soon, in review',
      ['The request is waiting for the exceptions team.'],
    ],
    [
      'SLA-5 tells the team that the response is due',
      'team: overdue',
      [`due by ${due}`, 'we notify the supervisors every business day'],
    ],
    [
      'SLA-4 SLA-5 tells the supervisors at the breach who had the request longest',
      'supervisors: overdue at breach',
      [
        'The deadline has been reached.',
        'The request spent the most time with the Notices Correspondent: 5 business days and 7 hours',
      ],
    ],
    [
      'SLA-4 SLA-5 tells the supervisors later how long the response is overdue',
      'supervisors: overdue, two days later',
      ['Our response was due by', 'It is overdue by 2 business days.', '7 business days and 7 hours'],
    ],
    [
      'SLA-4 tells the supervisors that the request was closed late',
      'supervisors: overdue, closed meanwhile',
      ['The request was closed 2 business days late.', 'The request is closed with the status “rejected”.'],
    ],
  ])('%s', (_, sample, facts) => {
    const email = renderSample(sample);
    for (const fact of facts) {
      expect(plainTextIn(email.text)).toContain(fact);
      expect(visibleTextIn(email.html)).toContain(fact);
    }
  });

  it('SLA-1 asks the Correspondent to decide by the due time until it has passed', () => {
    const request = requestAwaitingApproval();
    const at = (now: EmailContext['now']) =>
      plainTextIn(render('approval-reminder', emailContext('correspondent', { request, link, now })).text);
    expect(at(nextMondayFive)).toContain(`Decide by: ${due}`);
    expect(at(addDuration(nextMondayFive, { seconds: 1 }))).toContain(
      'Decide by: as soon as possible, because our response is overdue',
    );
  });

  it('APR-7 has no code in the first email in strict mode', () => {
    expect(renderSample('correspondent: approval requested, strict').text).not.toContain('Code:');
    expect(plainTextIn(renderSample('correspondent: approval requested, strict').text)).not.toMatch(/\b\d{6}\b/);
  });

  it('SLA-4 names the team if the team had the request longest', () => {
    const request = requestInReview();
    const late = render('overdue', emailContext('supervisors', { request, now: nextWednesdayFive }));
    expect(plainTextIn(late.text)).toContain(
      'The request spent the most time with the exceptions team: 7 business days and 7 hours.',
    );
  });

  it('EXC-7 tells the Correspondent what was originally requested if the team forwarded a smaller number', () => {
    const request = { ...requestAwaitingApproval(), activations: 90 };
    const asked = render('approval-requested', emailContext('correspondent', { request, link }));
    expect(asked.text).toContain('Requested: 90 more activations\n  Originally requested: 150 activations');
    expect(plainTextIn(asked.text)).toContain('from 200 to 290 activations');
  });

  it('uses the singular for one activation and one host', () => {
    const mak = { ...requestAwaitingApproval(), activations: 1 };
    expect(render('approval-requested', emailContext('correspondent', { request: mak, link })).subject).toContain(
      '1 more activation for',
    );
    const kms = emailContext('correspondent', { request: mak, link, keyType: 'KMS', limit: 1 });
    expect(plainTextIn(render('approval-requested', kms).text)).toContain(
      'Current limit: 1 KMS host Limit if approved: 2 KMS hosts',
    );
  });

  it('AGR-1 identifies an Open agreement by both of its numbers', () => {
    const { agreementNumber: _, ...intake } = { agreementNumber: '', ...requestAwaitingApproval().form };
    const request: ExceptionRequest = {
      ...requestAwaitingApproval(),
      form: { ...intake, authorizationNumber: '98765432ZZZ', licenseNumber: '12345678' },
    };
    const asked = render('approval-requested', emailContext('correspondent', { request, link }));
    expect(plainTextIn(asked.text)).toContain('authorization 98765432ZZZ, license 12345678');
  });

  it('EXC-15 tells the team that the requester is also the Correspondent', () => {
    const request: ExceptionRequest = { ...requestInReview(), flags: ['requester-is-correspondent'] };
    const review = render('review-requested', emailContext('team', { request }));
    expect(plainTextIn(review.text)).toContain('The requester is also the Notices Correspondent');
  });

  it('omits an empty comment', () => {
    const request = requestApproved();
    const decision = { decision: 'approve', at: mondayTen, by: ines.email, comment: ' \n' } as const;
    const stage: RequestState = {
      status: 'awaiting-approval',
      round: { number: 1, askedAt: mondayTen, remindersSent: 0, undeliverableAt: null, decision },
    };
    expect(render('decided', emailContext('requester', { request: { ...request, state: stage } })).text).not.toContain(
      'Comment',
    );
  });
});

describe('a pending email that is no longer true', () => {
  const awaitingApproval = requestAwaitingApproval();
  const awaitingRequester = {
    ...requestAwaitingRequester(),
    clock: assignTo(awaitingApproval.clock, 'requester', wednesdayNoon, policy),
  };

  it.each<[situation: string, kind: NotificationKind, role: DirectRecipient, request: ExceptionRequest]>([
    [
      'an approval request, but the team asks the requester first',
      'approval-requested',
      'correspondent',
      awaitingRequester,
    ],
    ['an approval request, but it was approved', 'approval-requested', 'correspondent', requestApproved()],
    ['an approval request, but it was denied', 'approval-requested', 'correspondent', requestDenied()],
    ['a reminder, but it was approved', 'approval-reminder', 'correspondent', requestApproved()],
    ['a reminder, but there is no open round', 'approval-reminder', 'correspondent', awaitingRequester],
    ['a question, but it was answered', 'question', 'requester', requestInReview()],
    ['a review request, but it was forwarded', 'review-requested', 'team', awaitingApproval],
    ['forwarded, but the team asks the requester', 'forwarded', 'requester', awaitingRequester],
    ['a code, but it was approved', 'approval-code', 'correspondent', requestApproved()],
    ['a code, but there is no open round', 'approval-code', 'correspondent', awaitingRequester],
    ['not delivered, but decided', 'undeliverable', 'team', requestApproved()],
    ['not delivered, but the team asks the requester', 'undeliverable', 'requester', awaitingRequester],
    ['disputed, but it is not', 'disputed', 'team', requestApproved()],
    ['disputed, but it is not', 'disputed', 'supervisors', requestFulfilled()],
    ['decided, but there is no decision', 'decided', 'correspondent', awaitingApproval],
    ['approved, but it was denied', 'decided', 'requester', requestDenied()],
    ['denied, but there is no decision', 'denied', 'requester', awaitingApproval],
    ['rejected, but it is not', 'rejected', 'team', awaitingApproval],
    ['rejected, but it is not', 'rejected', 'requester', awaitingApproval],
    ['rejected, but it is not', 'rejected', 'correspondent', awaitingApproval],
    ['withdrawn, but it is not', 'withdrawn', 'requester', awaitingApproval],
    ['withdrawn, but it is not', 'withdrawn', 'correspondent', awaitingApproval],
    ['withdrawn, but it is not', 'withdrawn', 'team', awaitingApproval],
    ['lapsed, but it is not', 'lapsed', 'requester', awaitingApproval],
    ['lapsed, but it is not', 'lapsed', 'correspondent', awaitingApproval],
    ['lapsed, but it is not', 'lapsed', 'team', awaitingApproval],
    ['due soon, but it is closed', 'due-soon', 'team', requestFulfilled()],
    ['due now, but it is closed', 'overdue', 'team', requestRejected()],
    ['due now, but the deadline is paused with time left', 'overdue', 'team', awaitingRequester],
    ['overdue, but the deadline is paused with time left', 'overdue', 'supervisors', awaitingRequester],
    ['overdue, but it was closed in time', 'overdue', 'supervisors', requestFulfilled()],
  ])('is not sent: %s', (_, kind, role, request) => {
    expect(renderEmail(kind, emailContext(role, { request, link, now: nextMondayFive }))).toBeUndefined();
  });

  it('throws for an approval email without its link', () => {
    expect(() =>
      renderEmail('approval-requested', emailContext('correspondent', { request: awaitingApproval })),
    ).toThrow('has no link');
  });

  it('throws for a code email without its code', () => {
    const strict = emailContext('correspondent', { request: awaitingApproval, link: strictLink });
    expect(() => renderEmail('approval-code', strict)).toThrow('has no code');
    expect(() => renderEmail('approval-code', { ...strict, link: null })).toThrow('has no code');
  });

  it('is sent if it is still true: the Correspondent was asked before the request was approved', () => {
    expect(renderEmail('forwarded', emailContext('requester', { request: requestApproved() }))).toBeDefined();
  });

  it('SLA-2 says in a late receipt that the deadline is paused', () => {
    const late = render('received', emailContext('requester', { request: awaitingRequester }));
    expect(plainTextIn(late.text)).toContain(
      'The deadline is paused until you reply. After that, we have 3 business days and 5 hours',
    );
  });
});

describe('text from others', () => {
  const hostileTexts = [
    '</td></tr></table></div><h1>APPROVED</h1>',
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '&lt;b&gt;&#60;i&#62;',
    '<!-- ',
    ' -->',
    '\r\nBcc: everyone@evil.example\r\n',
    '\n\nCode: 111111\n',
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
  // It begins with a character, so that no reason is empty and no comment is omitted.
  const textFromOthers = fc
    .array(
      fc.oneof(
        { weight: 3, arbitrary: fc.constantFrom(...hostileTexts) },
        fc.string({ unit: 'binary', maxLength: 40 }),
      ),
      {
        maxLength: 12,
      },
    )
    .map((parts) => `a${parts.join(' ')}`.slice(0, 4000));
  const insertedTexts = fc.record({
    organizationName: textFromOthers,
    name: textFromOthers,
    reader: textFromOthers,
    correspondentName: textFromOthers,
    productName: textFromOthers,
    phone: textFromOthers,
    language: textFromOthers,
    reason: textFromOthers,
    statement: textFromOthers,
  });

  function withInsertedTexts(
    context: EmailContext,
    from: typeof insertedTexts extends fc.Arbitrary<infer Texts> ? Texts : never,
  ): EmailContext {
    const { request, to } = context;
    const { form } = request;
    const other = { name: from.name, email: from.statement, phone: from.phone };
    return {
      ...context,
      organizationName: from.organizationName,
      correspondentName: from.correspondentName,
      productName: from.productName,
      to: { ...to, name: from.reader, ...(to.deputyOf === undefined ? {} : { deputyOf: from.correspondentName }) },
      answer: context.answer === null ? null : from.statement,
      request: {
        ...request,
        state: stateWithStatement(request.state, from.statement),
        form: {
          ...form,
          organizationName: from.organizationName,
          businessReason: from.reason,
          language: from.language,
          requester: { ...form.requester, name: from.name, phone: from.phone },
          noticesCorrespondent: form.noticesCorrespondent === null ? null : other,
        },
      },
    };
  }

  function stateWithStatement(initialState: RequestState, statement: string): RequestState {
    let state = initialState;
    if ('question' in state) state = { ...state, question: statement };
    if (state.status === 'rejected' || (state.status === 'withdrawn' && state.reason !== null)) {
      state = { ...state, reason: statement };
    }
    if (!('round' in state) || state.round === null || state.round.decision?.comment === undefined) return state;
    const { decision } = state.round;
    const comment = decision.comment === null ? null : statement;
    return { ...state, round: { ...state.round, decision: { ...decision, comment } } } as RequestState;
  }

  const anySample = fc.constantFrom(...requestEmailSamples);
  const runs = { numRuns: 400 };
  const forbiddenInOneLine = /[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}\u{e0000}-\u{e00ff}]/u;

  it('leaves the subject one line of bounded length without control characters', () => {
    fc.assert(
      fc.property(anySample, insertedTexts, ({ kind, context }, from) => {
        const { subject } = render(kind, withInsertedTexts(context, from));
        expect(subject).not.toMatch(forbiddenInOneLine);
        expect(subject.length).toBeLessThanOrEqual(150);
        expect(subject.isWellFormed()).toBe(true);
        expect(subject).toMatch(/ \(X-1\)$/);
      }),
      runs,
    );
  });

  it('cannot change a tag, an attribute, or a link of the HTML part', () => {
    // A quotation has one element for each quoted line. Nothing else in the HTML depends on text from others.
    const frame = (html: string) =>
      tagsIn(html)
        .join('')
        .replace(/(<div class="ink" [^>]*><\/div>)+/g, '(lines)');
    fc.assert(
      fc.property(anySample, insertedTexts, ({ kind, context }, from) => {
        const original = render(kind, context).html;
        const { html } = render(kind, withInsertedTexts(context, from));
        expect(htmlErrorsIn(html)).toEqual([]);
        expect(frame(html)).toBe(frame(original));
        expect(linksIn(html)).toEqual(linksIn(original));
      }),
      runs,
    );
  });

  it('APR-1 cannot pass for our own in the text part: quoted lines are marked, and no code line is added', () => {
    const codeLines = (text: string) => text.split('\n').filter((line) => /^Code: \d+$/.test(line));
    const ourParts = (text: string) => text.split('\n\n').filter((part) => !part.startsWith('>')).length;
    fc.assert(
      fc.property(anySample, insertedTexts, ({ kind, context }, from) => {
        const original = render(kind, context).text;
        const { text } = render(kind, withInsertedTexts(context, from));
        expect(ourParts(text)).toBe(ourParts(original));
        expect(codeLines(text)).toEqual(codeLines(original));
        for (const line of text.split('\n')) {
          if (line !== url) expect(line.length).toBeLessThanOrEqual(72);
        }
      }),
      runs,
    );
  });

  it('APR-1 cannot fill a line so that the next one looks like a code line', () => {
    for (let length = 1; length <= 46; length += 1) {
      const name = `${'y'.repeat(length)} Code: 111111 ${'y'.repeat(60)}`;
      const request = requestAwaitingApproval();
      const { requester } = request.form;
      const form = { ...request.form, requester: { ...requester, name } };
      const context = emailContext('correspondent', { request: { ...request, form }, link, organizationName: name });
      const lines = render('approval-requested', context).text.split('\n');
      expect(lines.filter((line) => /^Code: \d+$/.test(line))).toEqual([`Code: ${code}`]);
    }
  });

  it('adds no control character, no direction change that does not end, and no link', () => {
    const isolates = /\u2068[^\u2068\u2069\n]*(?:\n[^\u2068\u2069\n]*)*\u2069/g;
    fc.assert(
      fc.property(anySample, insertedTexts, ({ kind, context }, from) => {
        const email = render(kind, withInsertedTexts(context, from));
        for (const part of [email.text, visibleTextIn(email.html)]) {
          expect(part.replaceAll('\n', ' ').replace(isolates, '')).not.toMatch(forbiddenInOneLine);
          expect(part.isWellFormed()).toBe(true);
          const links = part
            .replaceAll(url, '')
            .replaceAll(consoleUrl, '')
            .replace(/\b[\w.]+@(?:alder|licensing|vendor)\.example/g, '');
          expect(links).not.toMatch(/:\/\/|\bmailto:|\\\\(?!\])|[^\s[]\.\p{L}[\p{L}\p{N}]/iu);
        }
      }),
      runs,
    );
  });

  it('is quoted in full, however long', () => {
    const reason = Array.from({ length: 400 }, (_, index) => `reason-${index}`)
      .join(' ')
      .slice(0, 4000);
    const request = requestReceived({ form: { businessReason: reason } });
    const email = render('received', emailContext('requester', { request }));
    expect(plainTextIn(email.text)).toContain(reason);
    expect(visibleTextIn(email.html)).toContain(reason);
  });
});
