import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { civilDate } from '../../../domain/calendar/instant.ts';
import type {
  ApprovalPageContent,
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
  disputePage,
  disputeRecordedPage,
  faultPage,
  unknownLinkPage,
  voidLinkPage,
} from '../../../functions/http/approval-page.ts';
import { stylesheet } from '../../../functions/http/approval-page-style.ts';
import { mondayNoon, nextMondayFive, tuesdayNine } from '../../instants.ts';

const makadd: ApprovalPageContent = {
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
  code: { kind: 'emailed' },
  invalidSubmission: null,
};
const kmsadd: ApprovalPageContent = { ...makadd, kind: 'KMSADD', limitNow: 6, activations: 4, limitAfter: 10 };

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
const voidPage = (because: VoidLink['because']): Page => voidLinkPage({ because, exceptionId: makadd.exceptionId });

const everyPage: Readonly<Record<string, Page>> = {
  'approval, MAKADD': approvalPage(makadd),
  'approval, KMSADD': approvalPage(kmsadd),
  'approval after a wrong code': approvalPage({ ...makadd, invalidSubmission: wrongCode(3) }),
  'approval after an incomplete form': approvalPage({ ...makadd, invalidSubmission: incomplete }),
  'approval in strict mode': approvalPage({ ...makadd, code: onDemand }),
  'approval after a code was sent': approvalPage({ ...makadd, code: sent }),
  'approval in strict mode after a wrong code': approvalPage({
    ...makadd,
    code: onDemand,
    invalidSubmission: wrongCode(1),
  }),
  'a recorded approval': decisionRecordedPage(approved),
  'a recorded denial': decisionRecordedPage(denied),
  'already decided': alreadyDecidedPage(approved),
  replaced: voidPage('replaced'),
  'too many wrong codes': voidPage('too-many-wrong-codes'),
  late: voidPage('late'),
  closed: voidPage('closed'),
  unknown: unknownLinkPage(),
  dispute: disputePage(approved),
  'a recorded dispute': disputeRecordedPage({ exceptionId: makadd.exceptionId, frozen: true }),
  'a recorded dispute, too late': disputeRecordedPage({ exceptionId: makadd.exceptionId, frozen: false }),
  'a fault': faultPage({ requestId: 'request-1' }),
};

// A minimal parser. Every text in a page is escaped, so a tag ends at the first `>` after its start.
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
const fragmentsOf = (page: Page) => attributes(page, 'href').filter((href) => href.startsWith('#'));
const titleOf = (page: Page) => between(page, /<title>/, '</title>');
const tagsNamed = (page: Page, name: string) => tagsOf(page).filter((tag) => new RegExp(`^<${name}[\\s>]`).test(tag));

describe.each(Object.entries(everyPage))('the page “%s”', (_, page) => {
  it('APR-5 has no script and one stylesheet, and fetches nothing', () => {
    const tags = tagsOf(page).join('\n');
    expect(tags).not.toMatch(/<(script|img|iframe|object|embed|base|svg)\b/i);
    expect(tagsNamed(page, 'link')).toEqual([
      expect.stringMatching(/^<link rel="icon" href="data:image\/svg\+xml,[^"<>]+">$/),
    ]);
    expect(tags).not.toMatch(/\s(on\w+|style|src|srcset|background|ping)=/i);
    expect(tagsOf(page).filter((tag) => tag === '<style>')).toHaveLength(1);
    expect(attributes(page, 'href').filter((href) => !/^(#|data:image\/svg\+xml,)/.test(href))).toEqual([]);
    expect(styleOf(page)).not.toMatch(/url\(|@import|@font-face/);
  });

  it('APR-5 has exactly the stylesheet that the content security policy allows', () => {
    const hash = createHash('sha256').update(styleOf(page)).digest('base64');
    expect(styleOf(page).length).toBeGreaterThan(0);
    expect(approvalPageHeaders['content-security-policy']).toContain(`style-src 'sha256-${hash}'`);
  });

  it('is readable by a screen reader: one main heading, a language, a title, and landmarks', () => {
    expect(page.html).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
    expect(tagsNamed(page, 'h1')).toHaveLength(1);
    for (const landmark of ['header', 'main', 'footer', 'title']) expect(tagsNamed(page, landmark)).toHaveLength(1);
    const levels = tagsOf(page).flatMap((tag) => /^<h([1-6])/.exec(tag)?.[1] ?? []);
    // The summary of problems comes before the main heading. After that, no heading level is skipped.
    const inOrder = levels.slice(levels.indexOf('1')).map(Number);
    inOrder.forEach((level, index) => {
      expect(level).toBeLessThanOrEqual((inOrder[index - 1] ?? 0) + 1);
    });
    expect(titleOf(page)).toMatch(/ – Volume Activation$/);
  });

  it('labels every field and refers only to existing ids', () => {
    const ids = attributes(page, 'id');
    expect(new Set(ids).size).toBe(ids.length);
    const referred = ['aria-describedby', 'aria-labelledby', 'for'].flatMap((name) =>
      attributes(page, name).flatMap((list) => list.split(' ')),
    );
    const linked = fragmentsOf(page).map((href) => href.slice(1));
    for (const id of [...referred, ...linked]) expect(ids).toContain(id);
    const controls = [...tagsNamed(page, 'input'), ...tagsNamed(page, 'textarea')];
    for (const control of controls) {
      expect(attributes(page, 'for')).toContain(/\sid="([^"]*)"/.exec(control)?.[1]);
    }
  });

  it('closes every tag', () => {
    const open: string[] = [];
    for (const tag of tagsOf(page)) {
      const name = /^<\/?([a-z0-9]+)/i.exec(tag)?.[1] ?? '';
      if (tag.startsWith('<!') || ['meta', 'input', 'link'].includes(name)) continue;
      if (tag.startsWith('</')) expect(open.pop()).toBe(name);
      else open.push(name);
    }
    expect(open).toEqual([]);
  });
});

describe('the headers of the pages', () => {
  it('APR-5 prevent referrers, caching, framing, scripts, and requests', () => {
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
      'img-src data:',
      "form-action 'self'",
      "frame-ancestors 'none'",
      "base-uri 'none'",
    ]);
    expect(approvalPageHeaders['x-robots-tag']).toContain('noindex');
  });

  it('have lowercase names and values of one line', () => {
    for (const [name, value] of Object.entries(approvalPageHeaders)) {
      expect(name).toBe(name.toLowerCase());
      expect(value).toMatch(/^[\x20-\x7e]+$/);
    }
  });
});

describe('the colors of the pages', () => {
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
  ])('have the contrast of WCAG 2.2 AA in the %s scheme', (_, scheme) => {
    const texts = [
      ['text', 'background'],
      ['text', 'surface'],
      ['muted', 'background'],
      ['link', 'surface'],
      ['error', 'background'],
      ['on-banner', 'banner'],
      ['on-banner', 'highlight'],
      ['on-approve', 'approve'],
      ['on-deny', 'deny'],
    ] as const;
    for (const [text, background] of texts)
      expect(contrast(scheme, text, background), text).toBeGreaterThanOrEqual(4.5);
    for (const shape of ['border-strong', 'focus', 'approve', 'deny', 'error', 'done']) {
      expect(contrast(scheme, shape, 'background'), shape).toBeGreaterThanOrEqual(3);
    }
  });
});

describe('the approval page of a request for activations', () => {
  const page = approvalPage(makadd);
  const text = textOf(page);

  it('APR-2 shows the exact request', () => {
    const expectedTexts = [
      'Do you approve 1,150 more activations?',
      'Current limit 100',
      'More activations +1,150',
      'Limit if approved 1,250',
      'Product key ending in ABCDE',
      'Product Windows Vista Enterprise',
      'Organization Tailspin Toys',
      'Needed by Friday 19 June 2026',
      'Request EXC-7K2M9QTR',
      'Sent to you Monday 1 June 2026, 12:00 Pacific Time (UTC−7)',
      'Link expires Monday 8 June 2026, 17:00 Pacific Time (UTC−7)',
      'Name Diego Siciliani',
      'Email diego@tailspintoys.example',
      'Phone +1 425 555 0143',
      'names Kim Abercrombie as the Notices Correspondent, the person who approves or denies',
      'Times are shown in Pacific Time.',
    ];
    for (const fact of expectedTexts) expect(text).toContain(fact);
  });

  it('APR-2 says that nothing has changed, what each button does, and what to do if the request is unexpected', () => {
    expect(text).toContain('Nothing has changed yet.');
    expect(text).toContain('To decide, enter the code from our email');
    expect(text).toContain('We raise the key’s limit from 100 to 1,250.');
    expect(text).toContain('We close the request. The key’s limit stays at 100.');
    expect(text).toContain('If you were not expecting this');
  });

  it('links to the decision at the top of the page', () => {
    expect(fragmentsOf(page)).toEqual(['#your-decision']);
    expect(page.html.indexOf('href="#your-decision"')).toBeLessThan(page.html.indexOf('<h2'));
  });

  it('APR-2 asks for the six-digit code, a comment, and one of two decisions, posted to its own address', () => {
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

  it('APR-2 accepts exactly six digits, with the spaces or hyphens of a copied code', () => {
    const [code = ''] = tagsNamed(page, 'input');
    const pattern = new RegExp(`^(?:${/pattern="([^"]*)"/.exec(code)?.[1]})$`, 'v');
    for (const good of ['123456', '123 456', ' 123456 ', '123-456']) expect(good).toMatch(pattern);
    for (const bad of ['', '12345', '1234567', '12345a', '１２３４５６']) expect(bad).not.toMatch(pattern);
  });

  it('APR-2 decides nothing when Enter is pressed in the code field: the first submit button is disabled', () => {
    expect(tagsNamed(page, 'button')[0]).toBe('<button type="submit" disabled hidden>');
  });

  it('quotes the business reason unchanged', () => {
    expect(between(page, /<blockquote dir="auto">/, '</blockquote>')).toBe(makadd.businessReason);
    expect(text).toContain('Business reason, as the requester gave it:');
  });

  it('shows no problem and has no error title', () => {
    expect(text).not.toContain('There is a problem');
    expect(titleOf(page)).toBe('Do you approve 1,150 more activations? – Volume Activation');
  });

  it('shows times in its zone, and the required date unchanged', () => {
    const inKiritimati = textOf(approvalPage({ ...makadd, zone: 'Pacific/Kiritimati' }));
    expect(inKiritimati).toContain('Sent to you Tuesday 2 June 2026, 09:00 Line Islands Time (UTC+14)');
    expect(inKiritimati).toContain('Needed by Friday 19 June 2026');
    expect(inKiritimati).toContain('Times are shown in Line Islands Time.');
  });

  it('uses the singular for one activation', () => {
    expect(textOf(approvalPage({ ...makadd, activations: 1, limitAfter: 101 }))).toContain(
      'Approve 1 more activation We',
    );
  });
});

describe('the approval page of a request for KMS hosts', () => {
  it('EXC-9 counts hosts, each with ten uses, and no activations', () => {
    const text = textOf(approvalPage(kmsadd));
    expect(text).toContain('Do you approve 4 more KMS hosts?');
    expect(text).toContain('Current limit 6 More KMS hosts +4 Limit if approved 10');
    expect(text).toContain('Each host uses one host slot, and the key can activate it up to ten times.');
    expect(text).not.toContain('more activations');
    expect(textOf(approvalPage({ ...kmsadd, activations: 1, limitAfter: 7 }))).toContain('Approve 1 more KMS host We');
    expect(textOf(decisionRecordedPage({ ...kmsadd, decision: 'approve', decidedAt: tuesdayNine }))).toContain(
      'limit by 4 KMS hosts.',
    );
  });
});

describe('the approval page after an invalid form', () => {
  it('APR-2 starts with the wrong code, and says how many tries are left and that nothing is decided', () => {
    const page = approvalPage({ ...makadd, invalidSubmission: wrongCode(3, 'Please go on.') });
    const text = textOf(page);
    expect(titleOf(page)).toMatch(/^Error: Do you approve/);
    expect(page.html.indexOf('role="alert"')).toBeLessThan(page.html.indexOf('<h1>'));
    expect(fragmentsOf(page)).toEqual(['#code', '#your-decision']);
    expect(text).toContain('Nothing has been decided.');
    expect(text).toContain(
      'You have 3 tries left. After that, this link stops working, and we email you a new link and code.',
    );
    expect(tagsNamed(page, 'input')[0]).toContain('aria-describedby="code-hint code-error" aria-invalid="true"');
    expect(tagsNamed(page, 'textarea')[0]).not.toContain('aria-invalid');
    expect(between(page, /<textarea[^>]*>\n/, '</textarea>')).toBe('Please go on.');
    expect(textOf(approvalPage({ ...makadd, invalidSubmission: wrongCode(1) }))).toContain('You have one try left.');
  });

  it('lists every invalid field at once, in the order of the page, each with a link to it', () => {
    const page = approvalPage({ ...makadd, invalidSubmission: incomplete });
    expect(fragmentsOf(page)).toEqual(['#code', '#comment', '#decision', '#your-decision']);
    const text = textOf(page);
    for (const message of [
      'Enter the six-digit code from our email',
      'Use at most 1,000 characters of plain text in your comment',
      'Press Approve or Deny',
    ]) {
      expect(text.split(message)).toHaveLength(3);
    }
    const onlyCode = approvalPage({
      ...makadd,
      invalidSubmission: { comment: '', problem: { kind: 'incomplete', fields: ['code'] } },
    });
    expect(fragmentsOf(onlyCode)).toEqual(['#code', '#your-decision']);
  });

  it('keeps the comment unchanged', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (comment) => {
        const page = approvalPage({ ...makadd, invalidSubmission: wrongCode(2, `\n${comment}`) });
        // A browser drops the first line break of a textarea.
        expect(between(page, /<textarea[^>]*>\n/, '</textarea>')).toBe(`\n${comment}`);
      }),
    );
  });
});

describe('the approval page in strict mode', () => {
  it('APR-7 offers to send a code of eight digits, and asks for eight', () => {
    const page = approvalPage({ ...makadd, code: onDemand });
    expect(tagsNamed(page, 'form')).toEqual([
      '<form class="step" method="post" action="./TOKEN/codes">',
      '<form method="post">',
    ]);
    expect(tagsNamed(page, 'input')[0]).toContain('{8}');
    expect(textOf(page)).toContain('We send a code of eight digits to your email address in the agreement.');
    expect(textOf(page)).toContain('It is valid for 10 minutes, and only the newest code works.');
  });

  it('APR-7 says after a sent code when it expires, and posts the decision to the address of the link', () => {
    const page = approvalPage({ ...makadd, code: sent });
    expect(titleOf(page)).toMatch(/^Code sent – Do you approve/);
    expect(textOf(page)).toContain('It expires on Tuesday 2 June 2026, 09:00 Pacific Time (UTC−7).');
    expect(tagsNamed(page, 'form')).toEqual([
      '<form method="post" action="../TOKEN">',
      '<form class="step" method="post">',
    ]);
    expect(textOf(page)).toContain('Send me another code');
  });

  it('APR-7 promises a new link without a code after too many wrong codes', () => {
    const text = textOf(approvalPage({ ...makadd, code: onDemand, invalidSubmission: wrongCode(2) }));
    expect(text).toContain('we email you a new link.');
    expect(text).toContain('This code is not correct, is not the newest one, or has expired');
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
      next: 'We close the request. The key’s limit does not change.',
    },
  ])('APR-3 is confirmed with what happens next: $heading', ({ recorded, heading, next }) => {
    const page = decisionRecordedPage(recorded);
    const text = textOf(page);
    expect(titleOf(page)).toBe(`${heading} – Volume Activation`);
    expect(text).toContain('Your decision is recorded.');
    expect(text).toContain('Decided Tuesday 2 June 2026, 09:00 Pacific Time (UTC−7)');
    expect(text).toContain(next);
    expect(tagsNamed(page, 'form')).toEqual([]);
  });

  it('APR-8 comes with the advice to use “This was not me”', () => {
    for (const page of [decisionRecordedPage(approved), decisionRecordedPage(denied), alreadyDecidedPage(denied)]) {
      expect(textOf(page)).toContain('This was not me');
    }
  });

  it('APR-3 APR-4 is shown with its time if it was already made, and cannot be made again', () => {
    for (const [recorded, words] of [
      [approved, ['This request was already approved', 'Decision Approved: 1,150 more activations']],
      [denied, ['This request was already denied', 'Decision Denied: 1,150 more activations']],
    ] as const) {
      const page = alreadyDecidedPage(recorded);
      for (const fact of [...words, 'Decided Tuesday 2 June 2026, 09:00']) expect(textOf(page)).toContain(fact);
      expect(tagsNamed(page, 'form')).toEqual([]);
    }
  });
});

describe('the page of a dispute', () => {
  it('APR-8 shows the decision, and says that opening the page reports nothing', () => {
    const page = disputePage(approved);
    expect(textOf(page)).toContain('This request was approved in your name.');
    expect(textOf(page)).toContain('Decision Approved: 1,150 more activations');
    expect(textOf(page)).toContain('Opening this page reports nothing. Only the button below does.');
    expect(tagsNamed(page, 'form')).toEqual(['<form method="post">']);
  });

  it('APR-8 confirms the dispute, and says whether the request was stopped', () => {
    const text = (frozen: boolean) => textOf(disputeRecordedPage({ exceptionId: makadd.exceptionId, frozen }));
    expect(text(true)).toContain('We have stopped the request.');
    expect(text(false)).toContain('We have alerted our team.');
    expect(text(false)).toContain('Change the password of your mailbox');
  });
});

describe('a link that cannot be used to decide', () => {
  it.each([
    { because: 'replaced', says: 'Look in your mailbox for a newer email' },
    { because: 'too-many-wrong-codes', says: 'We have sent a new link by email' },
    { because: 'late', says: 'can submit a new request' },
    { because: 'closed', says: 'You do not need to do anything' },
  ] as const)('APR-3 says why ($because) and what to do, and shows only the id of the request', ({ because, says }) => {
    const page = voidPage(because);
    expect(textOf(page)).toContain(says);
    expect(textOf(page)).toContain('Request EXC-7K2M9QTR');
    expect(tagsNamed(page, 'form')).toEqual([]);
  });

  it('has a separate page for each reason', () => {
    const titles = (['replaced', 'too-many-wrong-codes', 'late', 'closed'] as const).map((because) =>
      titleOf(voidPage(because)),
    );
    expect(new Set(titles).size).toBe(4);
  });

  it('explains how to copy all of a link that is not known', () => {
    const page = unknownLinkPage();
    expect(titleOf(page)).toBe('Error: We do not recognize this link – Volume Activation');
    expect(textOf(page)).toContain('Copy all of the link');
  });

  it('says after a fault that nothing was recorded, what to do, and the reference', () => {
    const page = faultPage({ requestId: '<request-1>' });
    expect(titleOf(page)).toBe('Error: Something went wrong on our side – Volume Activation');
    expect(textOf(page)).toContain('nothing was recorded');
    expect(textOf(page)).toContain('open the link in our email again');
    expect(textOf(page)).toContain('Reference <request-1>');
  });
});

describe('text from others', () => {
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

  it('is never markup: the page always has the same tags', () => {
    fc.assert(
      fc.property(fields, hostile, (texts, comment) => {
        const invalid = { invalidSubmission: wrongCode(2, comment) };
        expect(tagsOf(approvalPage({ ...makadd, ...texts, ...invalid }))).toEqual(
          tagsOf(approvalPage({ ...makadd, ...invalid })),
        );
        expect(tagsOf(decisionRecordedPage({ ...approved, ...texts }))).toEqual(tagsOf(decisionRecordedPage(approved)));
        expect(tagsOf(alreadyDecidedPage({ ...denied, ...texts }))).toEqual(tagsOf(alreadyDecidedPage(denied)));
        expect(tagsOf(voidLinkPage({ because: 'late', exceptionId: texts.exceptionId }))).toEqual(
          tagsOf(voidPage('late')),
        );
      }),
    );
  });

  it('cannot change the direction of our own text or add control characters', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        const page = approvalPage({ ...makadd, requesterName: text, businessReason: text });
        expect(page.html).not.toMatch(/[\u202a-\u202e\u2066-\u2069]|[^\P{Cc}\n\t]|\p{Cs}/u);
      }),
    );
  });

  it('cannot stack combining marks over our own text', () => {
    const stacked = `Z${'\u0301'.repeat(500)}algo`;
    const reason = between(approvalPage({ ...makadd, businessReason: stacked }), /<blockquote[^>]*>/, '</blockquote>');
    expect(reason).toBe(`Z${'\u0301'.repeat(6)}algo`);
  });

  it('is shown unchanged if it is harmless, in any script', () => {
    const harmless = [
      'O’Neill & Sons <IT> "north" — 5 > 4',
      'Zażółć gęślą jaźń, Tiếng Việt, e\u0301',
      'مرحبا بالعالم שָׁלוֹם',
      '日本語の理由\n二行目\tつづき',
      '👩‍👩‍👧 🏴󠁧󠁢󠁥󠁮󠁧󠁿',
    ];
    for (const reason of harmless) {
      expect(between(approvalPage({ ...makadd, businessReason: reason }), /<blockquote[^>]*>/, '</blockquote>')).toBe(
        reason,
      );
    }
    expect(
      between(approvalPage({ ...makadd, businessReason: 'one\r\ntwo' }), /<blockquote[^>]*>/, '</blockquote>'),
    ).toBe('one\ntwo');
  });

  it('has its own writing direction everywhere', () => {
    const page = approvalPage({ ...makadd, organizationName: 'שלום' });
    expect(page.html).toContain('<bdi dir="auto">שלום</bdi>');
    expect(tagsNamed(page, 'blockquote')).toEqual(['<blockquote dir="auto">']);
    expect(tagsNamed(page, 'textarea')[0]).toContain('dir="auto"');
  });
});
