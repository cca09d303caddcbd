import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { extractReplyText } from '../../../domain/exceptions/reply-text.ts';

const extractFrom = (...lines: readonly string[]) => extractReplyText(lines.join('\n'));

describe('an email without quoted text', () => {
  it('EXC-13 is kept line by line', () => {
    expect(extractFrom('Hello,', '', '  Name: Inés', '> 9 seats are free'.slice(2))).toEqual({
      text: 'Hello,\n\n  Name: Inés\n9 seats are free',
      quotedTextRemoved: false,
    });
  });

  it('EXC-13 is kept without surrounding empty lines, with empty lines trimmed, and with the ends of its table cells', () => {
    expect(extractFrom('', ' ', 'a', '   ', 'b', ' \t ', 'c', '', '').text).toBe('a\n\nb\n\t\nc');
    expect(extractFrom('Room _____').text).toBe('Room _____');
    expect(extractFrom('_____ is the room').text).toBe('_____ is the room');
  });

  it('has one kind of line end, one kind of space, and no invisible characters', () => {
    const text = 'a\u00a0b\u202fc\r\nd\re\u2028f\u200b\u00ad\u202eg\u0000\u0007\ufeff\u2066h';
    expect(extractReplyText(text).text).toBe('a b c\nd\ne\nfgh');
  });

  it('keeps the joiners that some scripts need', () => {
    const text = 'می‌خواهم 👩‍👧 イネス';
    expect(extractReplyText(text).text).toBe(text);
  });

  it('KEY-6 keeps at most the last five characters of a product key', () => {
    const hidden = 'Our key is *****-*****-*****-*****-67892.';
    expect(extractReplyText('Our key is bcdfg-hjkmp-qrtvw-xy234-67892.').text).toBe(hidden);
    expect(extractReplyText('Our key is BCDFG HJKMP QRTVW XY234 67892.').text).toBe(hidden);
    expect(extractReplyText('Our key is BCDFGHJKMPQRTVWXY23467892.').text).toBe(hidden);
    expect(extractReplyText('It ends in 67892.').text).toBe('It ends in 67892.');
  });
});

describe('quoted text', () => {
  it('EXC-13 is removed above and below the reply', () => {
    expect(extractFrom('> Product: x', 'Product: y', ' >> Product: z', 'Thanks')).toEqual({
      text: 'Product: y\nThanks',
      quotedTextRemoved: true,
    });
  });

  it('is removed with its attribution, and the text below it is kept', () => {
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
      ['pon., 1 cze 2026 o 10:00 Volume Activation napsal(a):'],
      ['po 1. 6. 2026 v 10:00 odesílatel Volume Activation napsal:'],
      ['po 1. 6. 2026 v 10:00 odesílatelka', 'napsala:'],
      ['W dniu pon., 1 cze 2026 o 10:00 Volume Activation napisał(a):'],
      ['W dniu pon., 1 cze 2026 o 10:00 Jan napisał:'],
      ['W dniu pon., 1 cze 2026 o 10:00 Anna napisała:'],
      ['пн, 1 июн. 2026 г. в 10:00, Volume Activation пишет:'],
      ['Volume Activation <no-reply@va.example> 于2026年6月1日周一 10:00写道：'],
      ['2026年6月1日(月) 10:00 Volume Activation <no-reply@va.example>のメール:'],
      ['Le lun. 1 juin 2026 à 10:00, Volume Activation a écrit:'],
      ['  On 1 Jun 2026, at 10:00, Volume Activation', '  wrote:'],
    ];
    for (const sentence of sentences) {
      const longerSentence = sentence.map((line, index) =>
        index === sentence.length - 1 ? `${line} we need ten` : line,
      );
      expect(extractFrom('Above', ...longerSentence, '> Product: x').text).toBe(
        ['Above', ...longerSentence].join('\n'),
      );
      expect(extractFrom('Above', '', ...sentence, '', '> Product: x', '', 'Below').text).toBe('Above\n\nBelow');
      expect(extractFrom('Above', '', ...sentence, '', 'Product: x', '', 'Below')).toEqual({
        text: 'Above',
        quotedTextRemoved: true,
      });
      expect(extractFrom('Above', ...sentence, '> Product: x', 'Below').text).toBe('Above\nBelow');
    }
  });

  it('does not start at a sentence that only ends like an attribution', () => {
    for (const sentence of [
      'on 1 Jun 2026, at 10:00, Jan wrote:',
      'am 01.06.2026 um 10:00 schrieb Jan:',
      'le lun. 1 juin 2026 à 10:00, Jan a écrit :',
      'el lun, 1 jun 2026 a las 10:00, Jan escribió:',
      'em seg., 1 de jun. de 2026 às 10:00, Jan escreveu:',
      'il giorno lun 1 giu 2026 alle ore 10:00 Jan ha scritto:',
      'op ma 1 jun 2026 om 10:00 schreef Jan:',
      'den mån 1 juni 2026 kl 10:00 skrev Jan:',
      'w dniu pon., 1 cze 2026 o 10:00 Jan napisał:',
    ]) {
      expect(extractFrom(`See ${sentence}`, 'Below').quotedTextRemoved).toBe(false);
      expect(extractFrom(sentence, 'Below').quotedTextRemoved).toBe(true);
    }
  });

  it('starts at a mark, after the attribution or after empty lines', () => {
    const sentence = 'On 1 Jun 2026, at 10:00, Volume Activation wrote:';
    expect(extractFrom(sentence, '   ', '> Product: x', 'Below').text).toBe('Below');
    expect(extractFrom('Above', sentence, 'seats > 9', 'Below').text).toBe('Above');
  });

  it('has a machine-written attribution, no longer than two dates and two addresses', () => {
    const ofLength = (length: number) => `On 10:00 ${'x'.repeat(length - 'On 10:00  wrote:'.length)} wrote:`;
    expect(extractFrom('Above', ofLength(400), 'Below').text).toBe('Above');
    expect(extractFrom('Above', ofLength(401), 'Below').quotedTextRemoved).toBe(false);
    expect(extractFrom('Jan w dniu 1.06 o 10:00 napisał:', 'Below').quotedTextRemoved).toBe(false);
    expect(extractFrom('On Monday 1 June 2026 the board wrote:', 'Below').quotedTextRemoved).toBe(false);
  });

  it('does not start at a person’s sentence about what others wrote', () => {
    const lines = ['On Monday the board wrote:', 'we need ten.', 'From: here on we need more.', 'To: all'];
    expect(extractFrom(...lines)).toEqual({ text: lines.join('\n'), quotedTextRemoved: false });
  });
});

describe('the message history below a reply', () => {
  it.each([
    [
      'Outlook',
      ['From: Call Center <desk@va.example>', 'Sent: Monday, June 1, 2026 9:00 AM', 'To: Inés', 'Subject: it'],
    ],
    ['in bold', ['*From:* Call Center', '*Sent:* Monday, June 1, 2026 9:00 AM', '*To:* Inés', '*Subject:* it']],
    ['in German', ['Von: Desk', 'Gesendet: Montag, 1. Juni 2026 09:00', 'An: Inés', 'Betreff: es']],
    ['in French', ['De : Desk', 'Envoyé : lundi 1 juin 2026 09:00', 'À : Inés', 'Objet : cela']],
    ['in Japanese', ['差出人: Desk', '送信日時: 2026年6月1日 9:00', '宛先: Inés', '件名: それ']],
    ['with a copy to others', ['From: D', 'Date: 1 June 2026 at 9.00', 'To: I', 'Cc: a@b.example', 'Subject: it']],
    ['with broken lines', ['From: Desk', 'Sent: Monday,', ' June 1, 2026 9:00 AM', 'To: Inés', 'Subject: it']],
    ['below a divider', ['-----Original Message-----', 'whatever follows']],
    ['below a divider in German', ['-----Ursprüngliche Nachricht-----', 'whatever follows']],
    ['forwarded by Gmail', ['---------- Forwarded message ---------', 'From: D']],
    ['forwarded by Apple Mail', ['Begin forwarded message:', '', 'From: D']],
  ])('EXC-13 is removed: %s', (_, history) => {
    expect(extractFrom('Product: y', '', '________________________________', ...history, '', 'Product: x')).toEqual({
      text: 'Product: y',
      quotedTextRemoved: true,
    });
  });

  it('is neither a form nor header lines that a person writes above one', () => {
    const memo = ['To: exceptions team', 'From: Inés', 'Subject: MAKADD', 'Date: 1 June 2026', '', 'Product: y'];
    expect(extractFrom(...memo)).toEqual({ text: memo.join('\n'), quotedTextRemoved: false });
    for (const headerLines of [
      ['From: Inés', 'Date: 1 June 2026', 'To: the team', 'Subject: MAKADD'],
      ['From: Inés', 'To: the team, before 9:00', 'Subject: MAKADD'],
      ['To: the team', 'Subject: MAKADD', 'From: Inés', 'Sent: 9:00'],
      ['Subject: MAKADD', 'From: Inés', 'Sent: 9:00', 'To: the team'],
      ['Sent: 9:00', 'To: the team', 'Subject: MAKADD', 'Hello,', 'all', 'From: Inés'],
      ['From: Inés', 'Sent: 9:00', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'To: the team', 'Subject: MAKADD'],
    ]) {
      expect(extractFrom(...headerLines, '', 'Product: y')).toEqual({
        text: [...headerLines, '', 'Product: y'].join('\n'),
        quotedTextRemoved: false,
      });
    }
    const decorated = ['--- MAKADD request ---', 'Product: y', '------', 'Key: BCDFG'];
    expect(extractFrom(...decorated)).toEqual({ text: decorated.join('\n'), quotedTextRemoved: false });
  });
});

describe('a signature', () => {
  it.each(['-- ', '--'])('is removed after its separator %j, and does not count as quoted text', (separator) => {
    expect(extractFrom('Elm and Fir.', separator, 'Phone: 1')).toEqual({
      text: 'Elm and Fir.',
      quotedTextRemoved: false,
    });
  });
});

describe('any text', () => {
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

  it('is unchanged when its reply text is extracted again', () => {
    fc.assert(
      fc.property(lines, (textLines) => {
        const { text } = extractReplyText(textLines.join('\n'));
        expect(extractReplyText(text).text).toBe(text);
      }),
    );
  });

  it('leaves no quoted lines and no control characters', () => {
    fc.assert(
      fc.property(lines, (textLines) => {
        const { text } = extractReplyText(textLines.join('\n'));
        expect(text).not.toMatch(/^ {0,3}>/m);
        expect(text).not.toMatch(/[^\P{Cc}\n\t]/u);
        expect(text.isWellFormed()).toBe(true);
      }),
    );
  });
});
