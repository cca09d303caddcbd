// The texts that email programs insert into replies and forwarded messages, in many languages. `reply-text.ts` uses
// them to find where the sender's own text ends.

/** The texts of the dividers above a quoted or forwarded message, such as `-----Original Message-----`. */
export const dividerTexts: readonly string[] = [
  'original message',
  'original appointment',
  'forwarded message',
  'ursprüngliche nachricht',
  'originalnachricht',
  'weitergeleitete nachricht',
  "message d['’]origine",
  'message original',
  'message transféré',
  'mensaje original',
  'mensaje reenviado',
  'mensagem original',
  'mensagem encaminhada',
  'messaggio originale',
  'messaggio inoltrato',
  'oorspronkelijk bericht',
  'doorgestuurd bericht',
  'ursprungligt meddelande',
  'oprindelig meddelelse',
  'opprinnelig melding',
  'alkuperäinen viesti',
  'wiadomość oryginalna',
  'původní zpráva',
  'исходное сообщение',
  '元のメッセージ',
  '原始邮件',
  '原始郵件',
];

/** The names of the header fields that Outlook and similar programs copy above the quoted message, as alternatives. */
export const headerNames = {
  from: 'from|von|de|da|van|från|fra|od|lähettäjä|от|差出人|发件人|寄件者',
  sent: 'sent|date|gesendet|datum|envoyé|enviado(?: el)?|enviada(?: em)?|fecha|data|inviato|verzonden|skickat|sendt|wysłano|wysłane|odesláno|lähetetty|дата|отправлено|送信日時|日時|发送时间|寄件日期',
  to: 'to|an|à|para|a|aan|till|til|do|komu|vastaanottaja|кому|宛先|收件人|收件者',
  subject: 'subject|betreff|objet|asunto|assunto|oggetto|onderwerp|ämne|emne|temat|předmět|aihe|тема|件名|主题|主旨',
} as const;

/** The sentences that introduce a quotation, such as "On …, … wrote:". */
export const attributionPatterns: readonly RegExp[] = [
  /^on .+ wrote:$/iu,
  /^(?:am|on) .+ schrieb\b.*:$/iu,
  /^le .+ a écrit ?:$/iu,
  /^el .+ escribió:$/iu,
  /^em .+ escreveu:$/iu,
  /^il .+ ha scritto:$/iu,
  /^op .+ schreef\b.*:$/iu,
  /^den .+ skrev\b.*:$/iu,
  /^w dniu .+ napisał(?:\(a\)|a)?:$/iu,
  /^.+ napsal(?:\(a\)|a)?:$/iu,
  /^.+ пишет:$/iu,
  /^.+写道[:：]$/u,
  /^.+のメール[:：]$/u,
];
