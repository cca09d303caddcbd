import { Temporal } from 'temporal-polyfill';
import type { Product } from '../catalog.ts';
import { products } from '../catalog.ts';
import type { Policy } from '../policy.ts';
import type { FieldError } from '../refusal.ts';
import type { ExceptionKind } from '../remedy.ts';
import { exceptionKinds } from '../remedy.ts';
import { extractReplyText } from './reply-text.ts';

/** The fields of the form (EXC-1), in the order of the form. */
const formFields = [
  'kind',
  'organizationName',
  'agreementNumber',
  'authorizationNumber',
  'licenseNumber',
  'requesterName',
  'requesterPhone',
  'requesterEmail',
  'product',
  'keyLastFive',
  'activationsRequested',
  'businessReason',
  'requiredDate',
  'language',
  'noticesCorrespondent',
] as const;
export type FormField = (typeof formFields)[number];

/** The label of each field in the published form (EXC-13). */
const formLabels: Readonly<Record<FormField, string>> = {
  kind: 'Kind',
  organizationName: 'Organization name',
  agreementNumber: 'Agreement number',
  authorizationNumber: 'Authorization number',
  licenseNumber: 'License number',
  requesterName: 'Requester’s name',
  requesterPhone: 'Requester’s phone number',
  requesterEmail: 'Requester’s email address',
  product: 'Product',
  keyLastFive: 'Last five digits of product key',
  activationsRequested: 'Number of activations requested',
  businessReason: 'Business reason for request',
  requiredDate: 'Required date',
  language: 'Language',
  noticesCorrespondent: 'Notices Correspondent',
};

/** For these fields, the first value counts: a signature often repeats them in another form. */
const firstValueFields: readonly FormField[] = ['requesterName', 'requesterPhone', 'requesterEmail', 'language'];

type ParsedPerson = {
  readonly name: string | undefined;
  readonly phone: string | undefined;
  readonly email: string | undefined;
};

/** The fields of a request that could be parsed. */
export type ParsedRequestForm = {
  readonly kind: ExceptionKind | undefined;
  readonly organizationName: string | undefined;
  readonly agreementNumber: string | undefined;
  readonly authorizationNumber: string | undefined;
  readonly licenseNumber: string | undefined;
  readonly requester: ParsedPerson;
  readonly product: Product | undefined;
  readonly keyLastFive: string | undefined;
  readonly activationsRequested: number | undefined;
  readonly businessReason: string | undefined;
  readonly requiredDate: string | undefined;
  readonly language: string | undefined;
  readonly noticesCorrespondent: ParsedPerson | undefined;
};

export type RequestFormResult = {
  readonly form: ParsedRequestForm;
  /** The values that cannot be parsed, or are ambiguous, by their JSON pointers in the API. */
  readonly errors: readonly FieldError[];
  /** The text of each field, as the sender wrote it. */
  readonly rawValues: Readonly<Partial<Record<FormField, string>>>;
  /** True when the email had quoted text or message history, which was ignored. */
  readonly quotedTextRemoved: boolean;
};

/**
 * Parses a request from an email (EXC-13). Fields are `Label: value` lines in the sender's own text, in any order and
 * case, with the labels of the published form or common variants. A value can be on the line below its label. The
 * business reason can have many lines, up to the next label. The kind is optional and can be in the subject.
 * Values that parse are not validated here: the schema of the API does that.
 */
export function parseRequestForm(
  { text, subject }: { readonly text: string; readonly subject: string },
  policy: Policy,
): RequestFormResult {
  const replyText = extractReplyText(text);
  const entries = parseEntries(replyText.text);
  const rawValues: Partial<Record<FormField, string>> = {};
  const errors: FieldError[] = [];
  for (const field of formFields) {
    const values = [...new Set(entries.flatMap((entry) => (entry.field === field ? [entry.value] : [])))];
    const [value] = values;
    if (value === undefined) continue;
    // The Correspondent can be written in several pieces. Any other field has one value.
    rawValues[field] = field === 'noticesCorrespondent' ? values.join(', ') : value;
    if (values.length > 1 && field !== 'noticesCorrespondent' && !firstValueFields.includes(field)) {
      errors.push({ pointer: pointers[field], message: 'has more than one value; keep one of them' });
    }
  }
  const parseField = <Value>(field: FormField, parse: (value: string) => ParseResult<Value>): Value | undefined => {
    const value = rawValues[field];
    if (value === undefined || errors.some(({ pointer }) => pointer === pointers[field])) return undefined;
    const result = parse(value);
    if (result.ok) return result.value;
    errors.push({ pointer: pointers[field], message: result.message });
    return undefined;
  };
  const rawField = (field: FormField) => parseField(field, (value) => ({ ok: true, value }));
  const correspondent = rawField('noticesCorrespondent');
  const form: ParsedRequestForm = {
    kind: rawValues.kind === undefined ? findKind(subject) : parseField('kind', parseKind),
    organizationName: rawField('organizationName'),
    agreementNumber: rawField('agreementNumber'),
    authorizationNumber: rawField('authorizationNumber'),
    licenseNumber: rawField('licenseNumber'),
    requester: {
      name: rawField('requesterName'),
      phone: rawField('requesterPhone'),
      email: rawField('requesterEmail'),
    },
    product: parseField('product', (value) => parseProduct(value, policy)),
    keyLastFive: rawField('keyLastFive'),
    activationsRequested: parseField('activationsRequested', parseCount),
    businessReason: rawField('businessReason'),
    requiredDate: parseField('requiredDate', parseDate),
    language: parseField('language', (value) => ({ ok: true, value: parseLanguage(value) })),
    noticesCorrespondent: correspondent === undefined ? undefined : parsePerson(correspondent),
  };
  return { form, errors, rawValues, quotedTextRemoved: replyText.quotedTextRemoved };
}

/**
 * Converts a parsed form to a request body, for validation by the schema of the API. A field without a value is left
 * out.
 */
export function toRequestBody(form: ParsedRequestForm): Readonly<Record<string, unknown>> {
  const { requester, noticesCorrespondent } = form;
  return omitUndefined({
    ...form,
    requester: omitUndefined(requester),
    noticesCorrespondent: noticesCorrespondent === undefined ? undefined : omitUndefined(noticesCorrespondent),
  });
}

function omitUndefined(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** One line of the form that is returned to the sender: a label and its value, which can be empty. */
export type FormLine = { readonly field: FormField; readonly label: string; readonly value: string };

/**
 * Returns the lines of the form with the values that the sender wrote (EXC-13). An optional field is left out unless it
 * has a value. The agreement has one number or two, as the sender started, or all three lines when there is no number.
 */
export function toFormLines({ rawValues }: Pick<RequestFormResult, 'rawValues'>): readonly FormLine[] {
  const has = (field: FormField) => rawValues[field] !== undefined;
  const hasTwoNumbers = has('authorizationNumber') || has('licenseNumber');
  const isShown = (field: FormField) => {
    if (has(field)) return true;
    if (field === 'agreementNumber') return !hasTwoNumbers;
    if (field === 'authorizationNumber' || field === 'licenseNumber') return hasTwoNumbers || !has('agreementNumber');
    return field !== 'kind' && field !== 'language' && field !== 'noticesCorrespondent';
  };
  return formFields
    .filter(isShown)
    .map((field) => ({ field, label: formLabels[field], value: rawValues[field]?.trim() ?? '' }));
}

/** Formats the form as text. Parsing that text gives the same values. */
export function formatForm(form: readonly FormLine[]): string {
  return form.map(({ label, value }) => `${label}: ${value}`.trimEnd()).join('\n');
}

/** Returns the label of a JSON pointer into the request body; the pointer itself when the form has no such field. */
export function labelOfPointer(pointer: string): string {
  const field = formFields.find((each) => pointers[each] === pointer);
  if (field !== undefined) return formLabels[field];
  const [, part = ''] = /^\/noticesCorrespondent\/(\w+)$/.exec(pointer) ?? [];
  const parts: Readonly<Record<string, string>> = { name: 'name', phone: 'phone number', email: 'email address' };
  return part === '' ? pointer : `Notices Correspondent’s ${parts[part] ?? part}`;
}

const pointers: Readonly<Record<FormField, string>> = {
  kind: '/kind',
  organizationName: '/organizationName',
  agreementNumber: '/agreementNumber',
  authorizationNumber: '/authorizationNumber',
  licenseNumber: '/licenseNumber',
  requesterName: '/requester/name',
  requesterPhone: '/requester/phone',
  requesterEmail: '/requester/email',
  product: '/product',
  keyLastFive: '/keyLastFive',
  activationsRequested: '/activationsRequested',
  businessReason: '/businessReason',
  requiredDate: '/requiredDate',
  language: '/language',
  noticesCorrespondent: '/noticesCorrespondent',
};

/** The meaning of a label: a field, or several fields that the published list combines in one label. */
type LabelMeaning = FormField | 'requester' | 'agreement' | 'license-and-authorization' | 'authorization-and-license';

/** The known labels, normalized, by meaning. */
const labelsByMeaning: readonly (readonly [LabelMeaning, readonly string[]])[] = [
  ['kind', ['kind', 'kind of request', 'request kind', 'type of request', 'request type', 'exception process']],
  [
    'organizationName',
    [
      'organization',
      'organization name',
      'name of organization',
      'name of the organization',
      'company',
      'company name',
    ],
  ],
  ['agreement', ['agreement number or license and authorization numbers']],
  ['agreementNumber', ['agreement', 'agreement number', 'agreement no', 'agreement nr', 'agreement id']],
  ['authorizationNumber', ['authorization', 'authorization number', 'authorization no', 'open authorization number']],
  ['licenseNumber', ['license', 'license number', 'license no', 'open license number']],
  ['license-and-authorization', ['license and authorization numbers', 'license and authorization number']],
  ['authorization-and-license', ['authorization and license numbers', 'authorization and license number']],
  [
    'requester',
    ['requester', 'requested by', 'requester name phone and email', 'requester name phone number and email'],
  ],
  ['requesterName', ['name', 'full name', 'your name', 'contact name', 'requester name', 'name of requester']],
  ['requesterPhone', ['phone', 'telephone', 'telephone number', 'tel', 'your phone', 'requester phone']],
  ['requesterEmail', ['email', 'your email', 'requester email']],
  ['product', ['product', 'product name']],
  ['keyLastFive', ['key', 'product key', 'key ending in', 'product key ending in', 'key last five']],
  [
    'activationsRequested',
    [
      'activations',
      'activations requested',
      'number of activations',
      'number of activations requested',
      'number of additional activations',
      'number of additional activations requested',
      'additional activations',
      'additional activations requested',
      'number requested',
      'number of hosts',
      'number of hosts requested',
      'number of kms hosts requested',
      'hosts requested',
    ],
  ],
  [
    'businessReason',
    [
      'reason',
      'reason for request',
      'reason for the request',
      'business reason',
      'business reason for request',
      'business reason for the request',
      'business justification',
    ],
  ],
  ['requiredDate', ['required date', 'date required', 'required by', 'required by date', 'needed by', 'date needed']],
  ['language', ['language', 'language of request', 'language of the request']],
  [
    'noticesCorrespondent',
    [
      'notices correspondent',
      'notice correspondent',
      'notices correspondent name',
      'notices correspondent phone',
      'notices correspondent email',
    ],
  ],
];
const meaningByLabel = new Map(
  labelsByMeaning.flatMap(([meaning, labels]) => labels.map((label) => [label, meaning] as const)),
);

/** The maximum length of a label: the longest one of the published list, with its explanation. */
const labelLengthMax = 160;

/** Normalizes a label: removes case, numbering, and text in parentheses, and converts British spelling. */
function normalizeLabel(label: string): string {
  return label
    .normalize('NFKC')
    .toLowerCase()
    .replace(/\([^()]*\)/g, ' ')
    .replace(/^\s*(?:[-*•·–—▪◦‣#]+|\d{1,2}[.)]|[a-o][.)])\s+/, '')
    .replace(/['’`´]s\b/g, ' ')
    .replace(/e-?mail(?: address(?:es)?)?/g, 'email')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .replace(/\b(organi|authori)s(?=ation)/g, '$1z')
    .replace(/\blicence\b/g, 'license')
    .replace(/\brequestors?\b|\brequesters\b/g, 'requester')
    .trim();
}

function labelMeaningOf(label: string): LabelMeaning | undefined {
  if (label.length > labelLengthMax) return undefined;
  const name = normalizeLabel(label)
    .replace(/^the /, '')
    .replace(/ associated with (?:the|this|your) key$/, '')
    .replace(/(?<=\bphone) number$/, '');
  return /^last (?:five|5)\b/.test(name) ? 'keyLastFive' : meaningByLabel.get(name);
}

type FormEntry = { readonly field: FormField; readonly value: string };

/** Splits the lines into entries. Each label starts a field, which extends over the lines that can belong to it. */
function parseEntries(text: string): readonly FormEntry[] {
  const lines = text.split('\n');
  const entries: FormEntry[] = [];
  for (let at = 0; at < lines.length; at += 1) {
    const labeledLine = parseLabeledLine(lines, at);
    if (labeledLine === undefined) continue;
    const { meaning, rest } = labeledLine;
    const end = findFieldEnd(lines, at + 1, meaning, rest !== '');
    const value = [rest, ...lines.slice(at + 1, end)]
      .map((line) => line.trim())
      .join('\n')
      .trim();
    const lengthMax = meaning === 'businessReason' ? reasonLengthMax : valueLengthMax;
    if (value !== '') entries.push(...splitEntry(meaning, value.slice(0, lengthMax)));
    at = end - 1;
  }
  return entries;
}

/** Longer than any valid value. A value is cut here, where it is still too long to pass validation. */
const valueLengthMax = 1_000;
const reasonLengthMax = 5_000;

/**
 * A line that starts with a known label, and the rest of the line. A label in a table cell needs no colon. `owner` is
 * `requester` when the label says that the name, phone, or email is the requester's.
 */
type LabeledLine = { readonly meaning: LabelMeaning; readonly owner: 'requester' | 'anyone'; readonly rest: string };

function parseLabeledLine(lines: readonly string[], at: number): LabeledLine | undefined {
  const line = lines[at] ?? '';
  const [, label = '', rest = ''] = /^([^:：]{1,200})[:：](.*)$/su.exec(line) ?? [];
  const meaning = labelMeaningOf(label);
  // Some programs write bold text as `*Label:* value`.
  if (meaning !== undefined)
    return { meaning, owner: labelOwnerOf(label), rest: rest.replace(/^[*_]+(?=\s|$)/, '').trim() };
  const [, cell = '', cellValue = ''] = /^\s*([^\t]{1,200})\t(.*)$/s.exec(line) ?? [];
  const cellLabel = cell !== '' ? cell : isEmptyCell(lines[at + 1]) ? line : '';
  const cellMeaning = labelMeaningOf(cellLabel);
  return cellMeaning === undefined
    ? undefined
    : { meaning: cellMeaning, owner: labelOwnerOf(cellLabel), rest: cellValue.trim() };
}

function labelOwnerOf(label: string): LabeledLine['owner'] {
  return /request/i.test(label) ? 'requester' : 'anyone';
}

function isEmptyCell(line: string | undefined): boolean {
  return line?.trim() === '' && line.includes('\t');
}

/**
 * Returns the index of the line after a field. A business reason continues over empty lines, a person ends at one. Any
 * other value is on one line: the line of its label, or the next line or table cell if that is empty.
 */
function findFieldEnd(lines: readonly string[], from: number, meaning: LabelMeaning, hasValue: boolean): number {
  let first = from;
  if (!hasValue) while (isEmptyCell(lines[first])) first += 1;
  const isPerson = meaning === 'requester' || meaning === 'noticesCorrespondent';
  const endMax = meaning === 'businessReason' || isPerson ? lines.length : first + (hasValue ? 0 : 1);
  let at = first;
  for (; at < endMax && at < lines.length; at += 1) {
    const nextLabel = parseLabeledLine(lines, at);
    // "Phone:" directly below a person's name belongs to that person.
    const continuesPerson = isPerson && nextLabel?.owner === 'anyone' && personMeanings.includes(nextLabel.meaning);
    if (nextLabel !== undefined && !continuesPerson) break;
    if (meaning !== 'businessReason' && lines[at]?.trim() === '') break;
  }
  return at;
}

const personMeanings: readonly LabelMeaning[] = ['requesterName', 'requesterPhone', 'requesterEmail'];

/** Splits the value of a label into the fields that it contains. */
function splitEntry(meaning: LabelMeaning, value: string): readonly FormEntry[] {
  switch (meaning) {
    case 'requester': {
      const { name, phone, email } = parsePerson(value);
      const parts: readonly (readonly [FormField, string | undefined])[] = [
        ['requesterName', name],
        ['requesterPhone', phone],
        ['requesterEmail', email],
      ];
      return parts.flatMap(([field, part]) => (part === undefined ? [] : [{ field, value: part }]));
    }
    case 'agreement':
    case 'license-and-authorization':
    case 'authorization-and-license': {
      const [first = '', second] = extractNumbers(value);
      if (second === undefined)
        return [{ field: meaning === 'agreement' ? 'agreementNumber' : 'licenseNumber', value: first }];
      const [license, authorization] = meaning === 'authorization-and-license' ? [second, first] : [first, second];
      return [
        { field: 'authorizationNumber', value: authorization },
        { field: 'licenseNumber', value: license },
      ];
    }
    case 'requesterEmail':
      return [{ field: meaning, value: extractEmail(value) ?? value }];
    case 'keyLastFive':
      return [{ field: meaning, value: extractLastFive(value) }];
    default:
      return [{ field: meaning, value }];
  }
}

function extractNumbers(value: string): readonly string[] {
  const words = value.split(/[\s,;/&]|\band\b/i);
  const numbers = words.filter((word) => /\d/.test(word));
  return numbers.length === 0 ? [value] : numbers;
}

type ParseResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly message: string };

function extractEmail(value: string): string | undefined {
  return /[^\s<>()[\],;:"]+@[^\s<>()[\],;:"]+/.exec(value)?.[0];
}

const phonePattern = /\+?[\d(][\d ()./-]{4,}\d(?: ?(?:x|ext\.?) ?\d{1,6})?/i;

/** Parses the name, phone, and email of a person, in any order and with any separators. */
function parsePerson(value: string): ParsedPerson {
  const email = extractEmail(value);
  const withoutEmail = value.replaceAll(/<?(?:mailto:)?[^\s<>()[\],;:"]+@[^\s<>()[\],;:"]+>?/gi, ',');
  const phone = phonePattern.exec(withoutEmail)?.[0];
  const pieces = (phone === undefined ? withoutEmail : withoutEmail.replace(phone, ','))
    .split(/[,;|/\n\t]/)
    .map((piece) => piece.replace(/\b(?:name|phone(?: number)?|tel\.?|e-?mail(?: address)?)\s*:?\s*$/i, '').trim())
    .filter((piece) => /\p{L}/u.test(piece));
  return { name: pieces[0]?.replace(/^name\s*:\s*/i, ''), phone, email };
}

function parseKind(value: string): ParseResult<ExceptionKind> {
  const kind = findKind(value) ?? exceptionKinds.find((each) => each.slice(0, 3) === value.toUpperCase());
  return kind === undefined ? { ok: false, message: 'must be KMSADD or MAKADD' } : { ok: true, value: kind };
}

/** Finds the kind that a text names; `undefined` when it names none or both. */
function findKind(text: string): ExceptionKind | undefined {
  const kinds = exceptionKinds.filter((kind) =>
    new RegExp(`\\b${kind.slice(0, 3)}[ -]?${kind.slice(3)}\\b`, 'i').test(text),
  );
  return kinds.length === 1 ? kinds[0] : undefined;
}

function parseProduct(value: string, { catalog }: Policy): ParseResult<Product> {
  const name = normalizeProductName(value);
  const product = products.find(
    (each) => normalizeProductName(each) === name || normalizeProductName(catalog[each].name) === name,
  );
  if (product !== undefined) return { ok: true, value: product };
  const names = products.map((each) => catalog[each].name).join(', ');
  return { ok: false, message: `must be one of: ${names}` };
}

function normalizeProductName(name: string): string {
  return name
    .toLowerCase()
    .replace(/[®™]|\((?:r|tm)\)/g, '')
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .replace(/\bmicrosoft\b/g, '')
    .trim()
    .replace(/ edition$/, '');
}

/** Extracts the last five characters of a key, with or without a mask before them. */
function extractLastFive(value: string): string {
  const compact = value.replace(/[\s"'“”]|\.$/g, '');
  return /^(?:[^A-Za-z0-9]|x)*([A-Za-z0-9]{5})$/i.exec(compact)?.[1] ?? compact;
}

function parseCount(value: string): ParseResult<number> {
  const [, digits] =
    /^\+?\s*(\d{1,3}(?:[,' ’]\d{3})+|\d{1,9})\s*(?:more|additional)?\s*(?:kms)?\s*(?:activations?|hosts?)?\.?$/i.exec(
      value,
    ) ?? [];
  return digits === undefined
    ? { ok: false, message: 'must be a whole number, such as 1500' }
    : { ok: true, value: Number(digits.replace(/\D/g, '')) };
}

/** The languages that are recognized by their English names. */
const languages = [
  'ar',
  'cs',
  'da',
  'de',
  'el',
  'en',
  'es',
  'fi',
  'fr',
  'he',
  'hu',
  'it',
  'ja',
  'ko',
  'nl',
  'no',
  'pl',
  'pt',
  'ru',
  'sv',
  'tr',
  'uk',
  'zh',
];
const languageNames = new Intl.DisplayNames('en', { type: 'language' });

function parseLanguage(value: string): string {
  const name = value.toLowerCase();
  return languages.find((tag) => languageNames.of(tag)?.toLowerCase() === name) ?? value;
}

const months = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
];
const weekdays = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];

/** Parses an unambiguous date: `2027-06-14`, `14 June 2027`, `June 14, 2027`, with or without the weekday. */
function parseDate(value: string): ParseResult<string> {
  const text = value
    .toLowerCase()
    .replace(/[.,]+(?=\s|$)/g, '')
    .replace(/(?<=\d)(?:st|nd|rd|th)\b/g, '')
    .replace(/\bof\b/g, ' ')
    .trim();
  const [, weekday, rest = text] = /^([a-z]{3,9})\s+(.*\d.*\d{4})$/.exec(text) ?? [];
  const dayName = weekday === undefined ? undefined : weekdays.find((name) => isNameOrAbbreviation(name, weekday));
  const date = parsePlainDate(dayName === undefined ? text : rest);
  if (date === 'ambiguous') {
    return { ok: false, message: 'is ambiguous; write it as 2027-06-14 or 14 June 2027' };
  }
  if (date === undefined) return { ok: false, message: 'must be a date such as 2027-06-14 or 14 June 2027' };
  const weekdayNumber = dayName === undefined ? 0 : weekdays.indexOf(dayName) + 1;
  if (weekdayNumber !== 0 && weekdayNumber !== date.dayOfWeek) {
    const actualWeekday = weekdays[date.dayOfWeek - 1] ?? '';
    return { ok: false, message: `has the wrong weekday: ${date} is a ${capitalize(actualWeekday)}` };
  }
  return { ok: true, value: date.toString() };
}

function parsePlainDate(text: string): Temporal.PlainDate | 'ambiguous' | undefined {
  const iso = /^(\d{4})([-/.])(\d{1,2})\2(\d{1,2})$/.exec(text);
  if (iso !== null) return toPlainDate(iso[1], iso[3], iso[4]);
  const dayFirst = /^(\d{1,2})[\s./-]+([a-z]{3,9})[\s./-]+(\d{4})$/.exec(text);
  if (dayFirst !== null) return toPlainDate(dayFirst[3], monthNumberOf(dayFirst[2]), dayFirst[1]);
  const monthFirst = /^([a-z]{3,9})[\s.-]+(\d{1,2})[\s,.-]+(\d{4})$/.exec(text);
  if (monthFirst !== null) return toPlainDate(monthFirst[3], monthNumberOf(monthFirst[1]), monthFirst[2]);
  const numeric = /^(\d{1,2})([-/.])(\d{1,2})\2(\d{4})$/.exec(text);
  if (numeric === null) return undefined;
  const candidates = [toPlainDate(numeric[4], numeric[3], numeric[1]), toPlainDate(numeric[4], numeric[1], numeric[3])];
  const [one, other] = candidates.filter((each) => each !== undefined);
  return one !== undefined && other !== undefined && !one.equals(other) ? 'ambiguous' : one;
}

function monthNumberOf(name = ''): string | undefined {
  const index = months.findIndex((month) => isNameOrAbbreviation(month, name));
  return index < 0 ? undefined : String(index + 1);
}

/** Returns true for the name itself, or its abbreviation to three letters, or four for September. */
function isNameOrAbbreviation(name: string, text: string): boolean {
  return text === name || (name.startsWith(text) && text.length <= 4);
}

function toPlainDate(year?: string, month?: string, day?: string): Temporal.PlainDate | undefined {
  if (year === undefined || month === undefined || day === undefined) return undefined;
  try {
    return Temporal.PlainDate.from(
      { year: Number(year), month: Number(month), day: Number(day) },
      { overflow: 'reject' },
    );
  } catch {
    return undefined;
  }
}

function capitalize(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
