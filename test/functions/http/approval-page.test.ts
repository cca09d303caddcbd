import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { civilDate } from '../../../domain/calendar/instant.ts';
import type {
  ApprovalPageData,
  CodeSource,
  DecisionDetails,
  InvalidSubmission,
  Page,
  VoidLink,
} from '../../../functions/http/approval-page.ts';
import {
  alreadyDecidedPage,
  approvalPage,
  approvalPageHeaders,
  decisionRecordedPage,
  faultPage,
  unknownLinkPage,
  voidLinkPage,
} from '../../../functions/http/approval-page.ts';
import { stylesheet } from '../../../functions/http/approval-page-style.ts';
import { mondayNoon, nextMondayFive, tuesdayNine } from '../../instants.ts';

const makadd: ApprovalPageData = {
  exceptionId: 'EXC-7K2M9QTR',
  kind: 'MAKADD',
  organizationName: 'Tailspin Toys',
  requesterName: 'Diego Siciliani',
  requesterEmail: 'diego@tailspintoys.example',
  requesterPhone: '+1 425 555 0143',
  correspondentName: 'Kim Abercrombie',
  productName: 'Windows Vista Enterprise',
  lastFive: 'ABCDE',
  limitNow: 100,
  activations: 1_150,
  limitAfter: 1_250,
  businessReason: 'A second office opens in Tacoma.\nIts network is not connected to ours.',
  requiredDate: civilDate('2026-06-19'),
  askedAt: mondayNoon,
  expiresAt: nextMondayFive,
  zone: 'America/Los_Angeles',
  code: { kind: 'mailed' },
  invalidSubmission: null,
};
const kmsadd: ApprovalPageData = { ...makadd, kind: 'KMSADD', limitNow: 6, activations: 4, limitAfter: 10 };

const onDemand: CodeSource = { kind: 'on-demand', codesAddress: './TOKEN/codes', goodForMinutes: 10 };
const sent: CodeSource = { kind: 'sent', decisionAddress: '../TOKEN', goodForMinutes: 10, goodUntil: tuesdayNine };

const wrongCode = (triesLeft: number, comment = ''): InvalidSubmission => ({
  comment,
  problem: { kind: 'wrong-code', triesLeft },
});
const incomplete: InvalidSubmission = {
  comment: '',
  problem: { kind: 'incomplete', fields: ['decision', 'comment', 'code'] },
};

const approved: DecisionDetails = { ...makadd, decision: 'approve', decidedAt: tuesdayNine };
const denied: DecisionDetails = { ...approved, decision: 'deny' };
const voidBecause = (because: VoidLink['because']): Page => voidLinkPage({ because, exceptionId: makadd.exceptionId });

const everyPage: Readonly<Record<string, Page>> = {
  'the question, MAKADD': approvalPage(makadd),
  'the question, KMSADD': approvalPage(kmsadd),
  'the question after a wrong code': approvalPage({ ...makadd, invalidSubmission: wrongCode(3) }),
  'the question after an incomplete form': approvalPage({ ...makadd, invalidSubmission: incomplete }),
  'the question in strict mode': approvalPage({ ...makadd, code: onDemand }),
  'the question once a code was sent': approvalPage({ ...makadd, code: sent }),
  'the question in strict mode after a wrong code': approvalPage({
    ...makadd,
    code: onDemand,
    invalidSubmission: wrongCode(1),
  }),
  'a recorded approval': decisionRecordedPage(approved),
  'a recorded denial': decisionRecordedPage(denied),
  'decided already': alreadyDecidedPage(approved),
  replaced: voidBecause('replaced'),
  'too many wrong codes': voidBecause('too-many-wrong-codes'),
  late: voidBecause('late'),
  closed: voidBecause('closed'),
  unknown: unknownLinkPage(),
  'a fault': faultPage({ requestId: 'request-1' }),
};

// What a parser would make of a page. Every text in it is escaped, so a tag ends at the first `>` after it began.
const styleOf = ({ html }: Page) => /<style>(.*?)<\/style>/s.exec(html)?.[1] ?? '';
const unstyled = (page: Page) => page.html.replace(styleOf(page), '');
const tagsOf = (page: Page) => unstyled(page).match(/<[^>]*>/g) ?? [];
const decoded = (markup: string) => markup.replace(/&#(\d+);/g, (_, point) => String.fromCharCode(Number(point)));
const textOf = (page: Page) =>
  decoded(unstyled(page).replace(/<[^>]*>/g, ' '))
    .replace(/\s+/g, ' ')
    .replace(/ ([.,:?”])/g, '$1');
const between = ({ html }: Page, start: RegExp, end: string) => {
  const from = start.exec(html);
  if (from === null) throw new Error(`no ${start} in the page`);
  const begin = from.index + from[0].length;
  return decoded(html.slice(begin, html.indexOf(end, begin)));
};
const attributes = (page: Page, name: string) =>
  tagsOf(page).flatMap((tag) => {
    const value = new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];
    return value === undefined ? [] : [value];
  });
const titleOf = (page: Page) => between(page, /<title>/, '</title>');
const tagsNamed = (page: Page, name: string) => tagsOf(page).filter((tag) => new RegExp(`^<${name}[\\s>]`).test(tag));

describe.each(Object.entries(everyPage))('the page “%s”', (_, page) => {
  it('APR-5 has no script, no style but its own, and fetches nothing', () => {
    const tags = tagsOf(page).join('\n');
    expect(tags).not.toMatch(/<(script|link|img|iframe|object|embed|base|svg)\b/i);
    expect(tags).not.toMatch(/\s(on\w+|style|src|srcset|background|ping)=/i);
    expect(tagsOf(page).filter((tag) => tag === '<style>')).toHaveLength(1);
    expect(attributes(page, 'href').filter((href) => !href.startsWith('#'))).toEqual([]);
    expect(styleOf(page)).not.toMatch(/url\(|@import|@font-face/);
  });

  it('APR-5 has exactly the stylesheet that the policy allows', () => {
    const hash = createHash('sha256').update(styleOf(page)).digest('base64');
    expect(styleOf(page).length).toBeGreaterThan(0);
    expect(approvalPageHeaders['content-security-policy']).toContain(`style-src 'sha256-${hash}'`);
  });

  it('can be read by a machine that reads it out: one heading, a language, a title, landmarks', () => {
    expect(page.html).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
    expect(tagsNamed(page, 'h1')).toHaveLength(1);
    for (const landmark of ['header', 'main', 'footer', 'title']) expect(tagsNamed(page, landmark)).toHaveLength(1);
    const levels = tagsOf(page).flatMap((tag) => /^<h([1-6])/.exec(tag)?.[1] ?? []);
    // The summary of what is wrong comes before the heading of the page; after that no level is left out.
    const inOrder = levels.slice(levels.indexOf('1')).map(Number);
    inOrder.forEach((level, index) => {
      expect(level).toBeLessThanOrEqual((inOrder[index - 1] ?? 0) + 1);
    });
    expect(titleOf(page)).toMatch(/ – Volume Activation$/);
  });

  it('labels every field and refers only to what is there', () => {
    const ids = attributes(page, 'id');
    expect(new Set(ids).size).toBe(ids.length);
    const referred = ['aria-describedby', 'aria-labelledby', 'for'].flatMap((name) =>
      attributes(page, name).flatMap((list) => list.split(' ')),
    );
    const linked = attributes(page, 'href').map((href) => href.slice(1));
    for (const id of [...referred, ...linked]) expect(ids).toContain(id);
    const controls = [...tagsNamed(page, 'input'), ...tagsNamed(page, 'textarea')];
    for (const control of controls) {
      expect(attributes(page, 'for')).toContain(/\sid="([^"]*)"/.exec(control)?.[1]);
    }
  });

  it('closes what it opens', () => {
    const open: string[] = [];
    for (const tag of tagsOf(page)) {
      const name = /^<\/?([a-z0-9]+)/i.exec(tag)?.[1] ?? '';
      if (tag.startsWith('<!') || ['meta', 'input'].includes(name)) continue;
      if (tag.startsWith('</')) expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });
});

describe('the headers of the pages', () => {
  it('APR-5 sends no referrer, is not kept, cannot be framed, and runs and fetches nothing', () => {
    expect(approvalPageHeaders).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-store',
      'x-frame-options': 'DENY',
      'cross-origin-opener-policy': 'same-origin',
    });
    const policy = approvalPageHeaders['content-security-policy']?.split('; ') ?? [];
    expect(policy.map((directive) => directive.replace(/'sha256-[^']+'/, "'sha256-…'"))).toEqual([
      "default-src 'none'",
      "style-src 'sha256-…'",
      "form-action 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ]);
    expect(approvalPageHeaders['x-robots-tag']).toContain('noindex');
  });

  it('are named in small letters and have values of one line', () => {
    for (const [name, value] of Object.entries(approvalPageHeaders)) {
      expect(name).toBe(name.toLowerCase());
      expect(value).toMatch(/^[\x20-\x7e]+$/);
    }
  });
});

describe('the colours of the pages', () => {
  const [light = '', dark = ''] = stylesheet.toString().match(/:root \{[^}]*\}/g) ?? [];
  const luminance = (hex: string) => {
    const [red = 0, green = 0, blue = 0] = [1, 3, 5]
      .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (scheme: string, one: string, other: string) => {
    const [lighter = 0, darker = 0] = [one, other]
      .map((name) => luminance(new RegExp(`--${name}: (#[0-9a-f]{6});`).exec(scheme)?.[1] ?? ''))
      .toSorted((a, b) => b - a);
    return (lighter + 0.05) / (darker + 0.05);
  };

  it.each([
    ['light', light],
    ['dark', dark],
  ])('are told apart by people who see little, in the %s scheme (WCAG 2.2 AA)', (_, scheme) => {
    const texts = [
      ['ink', 'ground'],
      ['ink', 'raised'],
      ['quiet', 'ground'],
      ['link', 'raised'],
      ['error', 'ground'],
      ['on-banner', 'banner'],
      ['on-banner', 'after'],
      ['on-approve', 'approve'],
      ['on-deny', 'deny'],
    ] as const;
    for (const [text, ground] of texts) expect(contrast(scheme, text, ground), text).toBeGreaterThanOrEqual(4.5);
    for (const shape of ['edge', 'focus', 'approve', 'deny', 'error', 'done']) {
      expect(contrast(scheme, shape, 'ground'), shape).toBeGreaterThanOrEqual(3);
    }
  });
});

describe('a request for activations, opened by the Notices Correspondent', () => {
  const page = approvalPage(makadd);
  const text = textOf(page);

  it('APR-2 shows the exact request', () => {
    const shown = [
      'Do you approve 1,150 more activations?',
      'Limit now 100',
      'More activations +1,150',
      'Limit if you approve 1,250',
      'Product key ends in ABCDE',
      'Product Windows Vista Enterprise',
      'Organization Tailspin Toys',
      'Needed by Friday 19 June 2026',
      'Request EXC-7K2M9QTR',
      'Sent to you Monday 1 June 2026, 12:00 Pacific Daylight Time',
      'This link works until Monday 8 June 2026, 17:00 Pacific Daylight Time',
      'Name Diego Siciliani',
      'E-mail diego@tailspintoys.example',
      'Phone +1 425 555 0143',
      'names you, Kim Abercrombie, as the person who confirms',
      'the time zone America/Los_Angeles',
    ];
    for (const fact of shown) expect(text).toContain(fact);
  });

  it('APR-2 says that nothing has happened, what each button does, and what to do if it is not expected', () => {
    expect(text).toContain('Nothing has changed so far.');
    expect(text).toContain('Something happens only when you enter the code');
    expect(text).toContain('The key’s limit rises from 100 to 1,250.');
    expect(text).toContain('The request is closed. The key’s limit stays at 100.');
    expect(text).toContain('If you know nothing of this');
  });

  it('APR-2 asks for the six-digit code, a comment, and one of two decisions, sent to its own address', () => {
    expect(tagsNamed(page, 'form')).toEqual(['<form method="post">']);
    expect(
      attributes(page, 'name').filter((name) => !['viewport', 'color-scheme', 'format-detection'].includes(name)),
    ).toEqual(['code', 'comment', 'decision', 'decision']);
    expect(tagsNamed(page, 'button').slice(1)).toEqual([
      expect.stringContaining('name="decision" value="approve"'),
      expect.stringContaining('name="decision" value="deny"'),
    ]);
    const [code = ''] = tagsNamed(page, 'input');
    expect(code).toContain('inputmode="numeric"');
    expect(code).toContain('autocomplete="one-time-code"');
    expect(tagsNamed(page, 'textarea')[0]).toContain('maxlength="1000"');
  });

  it('APR-2 takes six digits, with the spaces or hyphens of a copied code, and no other number of them', () => {
    const [code = ''] = tagsNamed(page, 'input');
    const pattern = new RegExp(`^(?:${/pattern="([^"]*)"/.exec(code)?.[1]})$`, 'v');
    for (const good of ['123456', '123 456', ' 123456 ', '123-456']) expect(good).toMatch(pattern);
    for (const bad of ['', '12345', '1234567', '12345a', '１２３４５６']) expect(bad).not.toMatch(pattern);
  });

  it('APR-2 decides nothing when Enter is pressed in the code field: the first submit button cannot be pressed', () => {
    expect(tagsNamed(page, 'button')[0]).toBe('<button type="submit" disabled hidden>');
  });

  it('sets the reason off as a quotation, to the letter', () => {
    expect(between(page, /<blockquote dir="auto">/, '</blockquote>')).toBe(makadd.businessReason);
    expect(text).toContain('The reason, in the words of the person who asks:');
  });

  it('shows no problem, and no title of an error', () => {
    expect(text).not.toContain('There is a problem');
    expect(titleOf(page)).toBe('Do you approve 1,150 more activations? – Volume Activation');
  });

  it('tells times in the zone it is given, and leaves the required day where it is', () => {
    const inKiritimati = textOf(approvalPage({ ...makadd, zone: 'Pacific/Kiritimati' }));
    expect(inKiritimati).toContain('Sent to you Tuesday 2 June 2026, 09:00 Line Islands Time');
    expect(inKiritimati).toContain('Needed by Friday 19 June 2026');
    expect(inKiritimati).toContain('the time zone Pacific/Kiritimati');
  });

  it('counts one activation as one', () => {
    expect(textOf(approvalPage({ ...makadd, activations: 1, limitAfter: 101 }))).toContain(
      'Approve 1 more activation The',
    );
  });
});

describe('a request for KMS hosts', () => {
  it('EXC-9 speaks of hosts, each with a place of ten uses, and never of more activations', () => {
    const text = textOf(approvalPage(kmsadd));
    expect(text).toContain('Do you approve 4 more KMS hosts?');
    expect(text).toContain('Limit now 6 More KMS hosts +4 Limit if you approve 10');
    expect(text).toContain('one host place, in which the key can be used up to ten times');
    expect(text).not.toContain('more activations');
    expect(textOf(approvalPage({ ...kmsadd, activations: 1, limitAfter: 7 }))).toContain('Approve 1 more KMS host The');
    expect(textOf(decisionRecordedPage({ ...kmsadd, decision: 'approve', decidedAt: tuesdayNine }))).toContain(
      'limit by 4 KMS hosts.',
    );
  });
});

describe('a form that came back', () => {
  it('APR-2 after a wrong code says so first, how many tries are left, and that nothing is decided', () => {
    const page = approvalPage({ ...makadd, invalidSubmission: wrongCode(3, 'Please go on.') });
    const text = textOf(page);
    expect(titleOf(page)).toMatch(/^Error: Do you approve/);
    expect(page.html.indexOf('role="alert"')).toBeLessThan(page.html.indexOf('<h1>'));
    expect(attributes(page, 'href')).toEqual(['#code']);
    expect(text).toContain('Nothing has been decided.');
    expect(text).toContain(
      'You have 3 tries left. After that this link stops working, and we mail you a new link and code.',
    );
    expect(tagsNamed(page, 'input')[0]).toContain('aria-describedby="code-hint code-error" aria-invalid="true"');
    expect(tagsNamed(page, 'textarea')[0]).not.toContain('aria-invalid');
    expect(between(page, /<textarea[^>]*>\n/, '</textarea>')).toBe('Please go on.');
    expect(textOf(approvalPage({ ...makadd, invalidSubmission: wrongCode(1) }))).toContain('You have one try left.');
  });

  it('names every field that is wrong at once, in the order of the page, each with a link to it', () => {
    const page = approvalPage({ ...makadd, invalidSubmission: incomplete });
    expect(attributes(page, 'href')).toEqual(['#code', '#comment', '#decision']);
    const text = textOf(page);
    for (const message of [
      'Enter the code of six digits from our e-mail',
      'Use at most 1,000 characters of plain text in your comment',
      'Press one of the two buttons: approve or deny',
    ]) {
      expect(text.split(message)).toHaveLength(3);
    }
    const onlyCode = approvalPage({
      ...makadd,
      invalidSubmission: { comment: '', problem: { kind: 'incomplete', fields: ['code'] } },
    });
    expect(attributes(onlyCode, 'href')).toEqual(['#code']);
  });

  it('keeps any comment as it was', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (comment) => {
        const page = approvalPage({ ...makadd, invalidSubmission: wrongCode(2, `\n${comment}`) });
        // A browser leaves out the first line break of a textarea.
        expect(between(page, /<textarea[^>]*>\n/, '</textarea>')).toBe(`\n${comment}`);
      }),
    );
  });
});

describe('strict mode', () => {
  it('APR-7 offers to send a code of eight digits, and asks for eight', () => {
    const page = approvalPage({ ...makadd, code: onDemand });
    expect(tagsNamed(page, 'form')).toEqual([
      '<form class="step" method="post" action="./TOKEN/codes">',
      '<form method="post">',
    ]);
    expect(tagsNamed(page, 'input')[0]).toContain('{8}');
    expect(textOf(page)).toContain('We send eight digits to the e-mail address that your agreement names for you.');
    expect(textOf(page)).toContain('They are good for 10 minutes; only the code sent last counts.');
  });

  it('APR-7 once a code was sent says until when it is good, and posts the decision to the link’s own address', () => {
    const page = approvalPage({ ...makadd, code: sent });
    expect(titleOf(page)).toMatch(/^Code sent – Do you approve/);
    expect(textOf(page)).toContain('is good until Tuesday 2 June 2026, 09:00 Pacific Daylight Time.');
    expect(tagsNamed(page, 'form')).toEqual([
      '<form method="post" action="../TOKEN">',
      '<form class="step" method="post">',
    ]);
    expect(textOf(page)).toContain('Send me another code');
  });

  it('APR-7 promises no code with the new link after too many wrong ones', () => {
    const text = textOf(approvalPage({ ...makadd, code: onDemand, invalidSubmission: wrongCode(2) }));
    expect(text).toContain('we mail you a new link.');
    expect(text).toContain('That is not the code that we sent last, or it is too old');
  });
});

describe('a decision', () => {
  it.each([
    {
      recorded: approved,
      heading: 'You approved 1,150 more activations',
      next: 'We raise the key’s limit by 1,150 activations.',
    },
    {
      recorded: denied,
      heading: 'You denied 1,150 more activations',
      next: 'The request is closed, and the key’s limit stays as it is.',
    },
  ])('APR-3 that was recorded is confirmed with what follows: $heading', ({ recorded, heading, next }) => {
    const page = decisionRecordedPage(recorded);
    const text = textOf(page);
    expect(titleOf(page)).toBe(`${heading} – Volume Activation`);
    expect(text).toContain('Your decision has been recorded.');
    expect(text).toContain('Decided Tuesday 2 June 2026, 09:00 Pacific Daylight Time');
    expect(text).toContain(next);
    expect(tagsNamed(page, 'form')).toEqual([]);
  });

  it('APR-8 points to “this was not me”, wherever it is shown', () => {
    for (const page of [decisionRecordedPage(approved), decisionRecordedPage(denied), alreadyDecidedPage(denied)]) {
      expect(textOf(page)).toContain('this was not me');
    }
  });

  it('APR-3 APR-4 that was made already is told with its time, and cannot be made again', () => {
    for (const [recorded, words] of [
      [approved, ['This request was approved already', 'Decision Approved: 1,150 more activations']],
      [denied, ['This request was denied already', 'Decision Denied: 1,150 more activations']],
    ] as const) {
      const page = alreadyDecidedPage(recorded);
      for (const fact of [...words, 'Decided Tuesday 2 June 2026, 09:00']) expect(textOf(page)).toContain(fact);
      expect(tagsNamed(page, 'form')).toEqual([]);
    }
  });
});

describe('a link that decides nothing', () => {
  it.each([
    { because: 'replaced', says: 'Look in your mailbox for a newer e-mail' },
    { because: 'too-many-wrong-codes', says: 'We have sent a new link by e-mail' },
    { because: 'late', says: 'can send a new request' },
    { because: 'closed', says: 'Nothing is needed from you' },
  ] as const)(
    'APR-3 says why ($because) and what to do, and shows no more than the request’s id',
    ({ because, says }) => {
      const page = voidBecause(because);
      expect(textOf(page)).toContain(says);
      expect(textOf(page)).toContain('Request EXC-7K2M9QTR');
      expect(tagsNamed(page, 'form')).toEqual([]);
    },
  );

  it('has a page of its own for each reason', () => {
    const titles = (['replaced', 'too-many-wrong-codes', 'late', 'closed'] as const).map((because) =>
      titleOf(voidBecause(because)),
    );
    expect(new Set(titles).size).toBe(4);
  });

  it('when it is not known, tells how to copy all of it', () => {
    const page = unknownLinkPage();
    expect(titleOf(page)).toBe('Error: We do not know this link – Volume Activation');
    expect(textOf(page)).toContain('Copy all of the link');
  });

  it('after a fault of ours says that nothing was recorded, what to do, and the reference', () => {
    const page = faultPage({ requestId: '<request-1>' });
    expect(titleOf(page)).toBe('Error: Something went wrong on our side – Volume Activation');
    expect(textOf(page)).toContain('nothing was recorded');
    expect(textOf(page)).toContain('open the link in our e-mail again');
    expect(textOf(page)).toContain('Reference <request-1>');
  });
});

describe('text from outside', () => {
  const hostile = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 60 }),
    fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', '=', '/', '\u202e', '\u2069', '\r', '\0', 'a', ' ') }),
    fc.constantFrom(
      '</title></style><script>alert(1)</script>',
      '"><img src=x onerror=alert(1)>',
      '" autofocus onfocus="alert(1)',
      '&lt;b&gt;',
      '</textarea></blockquote></main>',
      'x'.repeat(4_000),
    ),
  );
  const fields = fc.record({
    exceptionId: hostile,
    organizationName: hostile,
    requesterName: hostile,
    requesterEmail: hostile,
    requesterPhone: hostile,
    correspondentName: hostile,
    productName: hostile,
    lastFive: hostile,
    businessReason: hostile,
  });

  it('is never markup: whatever it is, the page has the same tags', () => {
    fc.assert(
      fc.property(fields, hostile, (texts, comment) => {
        const kind = { invalidSubmission: wrongCode(2, comment) };
        expect(tagsOf(approvalPage({ ...makadd, ...texts, ...kind }))).toEqual(
          tagsOf(approvalPage({ ...makadd, ...kind })),
        );
        expect(tagsOf(decisionRecordedPage({ ...approved, ...texts }))).toEqual(tagsOf(decisionRecordedPage(approved)));
        expect(tagsOf(alreadyDecidedPage({ ...denied, ...texts }))).toEqual(tagsOf(alreadyDecidedPage(denied)));
        expect(tagsOf(voidLinkPage({ because: 'late', exceptionId: texts.exceptionId }))).toEqual(
          tagsOf(voidBecause('late')),
        );
      }),
    );
  });

  it('cannot turn the direction of ours, nor hide control characters in it', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const page = approvalPage({ ...makadd, requesterName: text, businessReason: text });
        expect(page.html).not.toMatch(/[\u202a-\u202e\u2066-\u2069]|[^\P{Cc}\n\t]|\p{Cs}/u);
      }),
    );
  });

  it('cannot pile up accents over ours', () => {
    const piled = `Z${'\u0301'.repeat(500)}algo`;
    const reason = between(approvalPage({ ...makadd, businessReason: piled }), /<blockquote[^>]*>/, '</blockquote>');
    expect(reason).toBe(`Z${'\u0301'.repeat(6)}algo`);
  });

  it('is shown to the letter when it is honest, whatever its script and its signs', () => {
    const honest = [
      'O’Neill & Sons <IT> "north" — 5 > 4',
      'Zażółć gęślą jaźń, Tiếng Việt, e\u0301',
      'مرحبا بالعالم שָׁלוֹם',
      '日本語の理由\n二行目\tつづき',
      '👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿',
    ];
    for (const reason of honest) {
      expect(between(approvalPage({ ...makadd, businessReason: reason }), /<blockquote[^>]*>/, '</blockquote>')).toBe(
        reason,
      );
    }
    expect(
      between(approvalPage({ ...makadd, businessReason: 'one\r\ntwo' }), /<blockquote[^>]*>/, '</blockquote>'),
    ).toBe('one\ntwo');
  });

  it('has a direction of its own, wherever it stands', () => {
    const page = approvalPage({ ...makadd, organizationName: 'שלום' });
    expect(page.html).toContain('<bdi dir="auto">שלום</bdi>');
    expect(tagsNamed(page, 'blockquote')).toEqual(['<blockquote dir="auto">']);
    expect(tagsNamed(page, 'textarea')[0]).toContain('dir="auto"');
  });
});
