import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ownWords } from '../../domain/own-words.ts';

const own = (...lines: readonly string[]) => ownWords(lines.join('\n'));

describe('a mail with nothing but its own words', () => {
  it('EXC-13 is kept line by line', () => {
    expect(own('Hello,', '', '  Name: Inés', '> 9 seats are free'.slice(2))).toEqual({
      text: 'Hello,\n\n  Name: Inés\n9 seats are free',
      leftOut: false,
    });
  });

  it('has one kind of line end and of space, and nothing that is not seen', () => {
    const text = 'a\u00a0b\u202fc\r\nd\re\u2028f\u200b\u00ad\u202eg\u0000\u0007\ufeff\u2066h';
    expect(ownWords(text).text).toBe('a b c\nd\ne\nfgh');
  });

  it('keeps what other scripts are written with', () => {
    const text = 'می‌خواهم 👩‍👧 イネス';
    expect(ownWords(text).text).toBe(text);
  });

  it('KEY-6 keeps no more than the last five of a product key', () => {
    const hidden = 'Our key is *****-*****-*****-*****-67892.';
    expect(ownWords('Our key is bcdfg-hjkmp-qrtvw-xy234-67892.').text).toBe(hidden);
    expect(ownWords('Our key is BCDFG HJKMP QRTVW XY234 67892.').text).toBe(hidden);
    expect(ownWords('Our key is BCDFGHJKMPQRTVWXY23467892.').text).toBe(hidden);
    expect(ownWords('It ends in 67892.').text).toBe('It ends in 67892.');
  });
});

describe('quoted text', () => {
  it('EXC-13 is left out, above and below what was written', () => {
    expect(own('> Product: x', 'Product: y', ' >> Product: z', 'Thanks')).toEqual({
      text: 'Product: y\nThanks',
      leftOut: true,
    });
  });

  it('is left out with the sentence that says whose it is, and what stands below it is kept', () => {
    const sentences = [
      ['On Mon, Jun 1, 2026 at 10:00 AM Volume Activation <no-reply@va.example> wrote:'],
      ['On Mon, Jun 1, 2026 at 10:00 AM Volume Activation <', 'no-reply@va.example> wrote:'],
      ['On 1 Jun 2026, at 10:00, Volume Activation <no-reply@va.example>', 'wrote:'],
      ['Am 01.06.2026 um 10:00 schrieb Volume Activation <no-reply@va.example>:'],
      ['Le lun. 1 juin 2026 à 10:00, Volume Activation <no-reply@va.example> a écrit :'],
      ['El lun, 1 jun 2026 a las 10:00, Volume Activation escribió:'],
      ['Em seg., 1 de jun. de 2026 às 10:00, Volume Activation escreveu:'],
      ['Il giorno lun 1 giu 2026 alle ore 10:00 Volume Activation ha scritto:'],
      ['Op ma 1 jun 2026 om 10:00 schreef Volume Activation:'],
      ['Den mån 1 juni 2026 kl 10:00 skrev Volume Activation:'],
    ];
    for (const sentence of sentences) {
      expect(own('Above', '', ...sentence, '', '> Product: x', '', 'Below').text).toBe('Above\n\nBelow');
      expect(own('Above', '', ...sentence, '', 'Product: x', '', 'Below').text).toBe('Above');
    }
  });

  it('is not what somebody says that others wrote', () => {
    const lines = ['On Monday the board wrote:', 'we need ten.', 'From: here on we need more.', 'To: all'];
    expect(own(...lines)).toEqual({ text: lines.join('\n'), leftOut: false });
  });
});

describe('the history below an answer', () => {
  it.each([
    [
      'Outlook',
      ['From: Call Centre <desk@va.example>', 'Sent: Monday, June 1, 2026 9:00 AM', 'To: Inés', 'Subject: it'],
    ],
    ['in bold', ['*From:* Call Centre', '*Sent:* Monday, June 1, 2026 9:00 AM', '*To:* Inés', '*Subject:* it']],
    ['in German', ['Von: Desk', 'Gesendet: Montag, 1. Juni 2026 09:00', 'An: Inés', 'Betreff: es']],
    ['in French', ['De : Desk', 'Envoyé : lundi 1 juin 2026 09:00', 'À : Inés', 'Objet : cela']],
    ['in Japanese', ['差出人: Desk', '送信日時: 2026年6月1日 9:00', '宛先: Inés', '件名: それ']],
    ['with a copy to others', ['From: D', 'Date: 1 June 2026 at 9.00', 'To: I', 'Cc: a@b.example', 'Subject: it']],
    ['behind a line', ['-----Original Message-----', 'whatever follows']],
    ['behind a line in German', ['-----Ursprüngliche Nachricht-----', 'whatever follows']],
    ['passed on by Gmail', ['---------- Forwarded message ---------', 'From: D']],
    ['passed on by Apple', ['Begin forwarded message:', '', 'From: D']],
  ])('EXC-13 is left out: %s', (_, history) => {
    expect(own('Product: y', '', '________________________________', ...history, '', 'Product: x')).toEqual({
      text: 'Product: y',
      leftOut: true,
    });
  });

  it('is not a form, nor what somebody writes above one by hand', () => {
    const memo = ['To: exceptions team', 'From: Inés', 'Subject: MAKADD', 'Date: 1 June 2026', '', 'Product: y'];
    expect(own(...memo)).toEqual({ text: memo.join('\n'), leftOut: false });
    const decorated = ['--- MAKADD request ---', 'Product: y', '------', 'Key: BCDFG'];
    expect(own(...decorated)).toEqual({ text: decorated.join('\n'), leftOut: false });
  });
});

describe('a signature', () => {
  it.each(['-- ', '--'])('is left out behind its mark %j, and is nobody else’s words', (mark) => {
    expect(own('Elm and Fir.', mark, 'Phone: 1')).toEqual({ text: 'Elm and Fir.', leftOut: false });
  });
});

describe('whatever comes', () => {
  const lines = fc.array(
    fc.oneof(
      fc.constantFrom(
        '> q',
        '-- ',
        'From: a',
        'Sent: 9:00',
        'To: b',
        'Subject: c',
        'On 9:00 x wrote:',
        '',
        '\t',
        '____',
      ),
      fc.string({ unit: 'binary', maxLength: 30 }),
    ),
    { maxLength: 20 },
  );

  it('is read to the same words when its own words are read again', () => {
    fc.assert(
      fc.property(lines, (all) => {
        const { text } = ownWords(all.join('\n'));
        expect(ownWords(text).text).toBe(text);
      }),
    );
  });

  it('has no quoted line and no control character among its own words', () => {
    fc.assert(
      fc.property(lines, (all) => {
        const { text } = ownWords(all.join('\n'));
        expect(text).not.toMatch(/^ {0,3}>/m);
        expect(text).not.toMatch(/[^\P{Cc}\n\t]/u);
        expect(text.isWellFormed()).toBe(true);
      }),
    );
  });
});
