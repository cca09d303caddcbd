import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  formatForm,
  labelOfPointer,
  parseRequestForm,
  toFormLines,
  toRequestBody,
} from '../../../domain/exceptions/request-form.ts';
import { policy } from '../../builders.ts';
import { readProjectFile } from '../../project-files.ts';

const parseForm = (text: string, subject = '') => parseRequestForm({ text, subject }, policy);
const errorsOf = (text: string, subject = '') => parseForm(text, subject).errors;

const completeForm = `Organization name: Alder School District
Agreement number: E-1001
Requester’s name: Inés Oliveira
Requester’s phone number: +1 425 555 0101
Requester’s email address: ines@alder.example
Product: Windows Vista Business
Last five digits of product key: BCDFG
Number of activations requested: 150
Business reason for request: Two new schools open in autumn.
Required date: 4 January 2027`;

const body = {
  organizationName: 'Alder School District',
  agreementNumber: 'E-1001',
  requester: { name: 'Inés Oliveira', phone: '+1 425 555 0101', email: 'ines@alder.example' },
  product: 'windows-vista-business',
  keyLastFive: 'BCDFG',
  activationsRequested: 150,
  businessReason: 'Two new schools open in autumn.',
  requiredDate: '2027-01-04',
};

describe('a complete form', () => {
  it('EXC-13 is parsed to the body that the API accepts', () => {
    expect(toRequestBody(parseForm(completeForm).form)).toEqual(body);
    expect(errorsOf(completeForm)).toEqual([]);
  });

  it('EXC-13 is parsed in any order and case', () => {
    const lines = completeForm.split('\n');
    fc.assert(
      fc.property(
        fc.shuffledSubarray(lines, { minLength: lines.length }),
        fc.array(fc.boolean(), { minLength: lines.length, maxLength: lines.length }),
        (shuffled, isUpperCase) => {
          const linesInAnyCase = shuffled.map((line, index) => {
            const colon = line.indexOf(':');
            const label = line.slice(0, colon);
            return `${isUpperCase[index] ? label.toUpperCase() : label.toLowerCase()}${line.slice(colon)}`;
          });
          expect(toRequestBody(parseForm(linesInAnyCase.join('\n')).form)).toEqual(body);
        },
      ),
    );
  });

  it('EXC-13 is not parsed from quoted text', () => {
    const quoted = completeForm.replaceAll(/^/gm, '> ');
    expect(toRequestBody(parseForm(quoted).form)).toEqual({ requester: {} });
    expect(parseForm(quoted).quotedTextRemoved).toBe(true);
    expect(toRequestBody(parseForm(`${completeForm}\n\n${quoted.replace('150', '9999')}`).form)).toEqual(body);
  });
});

describe('the published list of required information', () => {
  it('EXC-1 is parsed as published, with its explanations in parentheses', () => {
    const text = `· Organization name: Alder School District
· Agreement number, or license and authorization numbers, associated with the key: E-1001
· Requester’s name, phone number, and email address (must match the Authorized Contact List as defined by your organization): Inés Oliveira, +1 425 555 0101, ines@alder.example
· Product (e.g. Windows Vista, Windows Server 2008 Standard): Windows Vista Business
· Last five digits of product key: BCDFG
· Number of activations requested: 150
· Business reason for request: Two new schools open in autumn.
· Required date: 4 January 2027`;
    expect(toRequestBody(parseForm(text).form)).toEqual(body);
  });

  it.each([
    ['License and authorization numbers: 12345678, 98765432ZZZ'],
    ['Authorization and license numbers: 98765432ZZZ / 12345678'],
    ['Agreement number, or license and authorization numbers: 12345678 and 98765432ZZZ'],
    ['Authorisation number: 98765432ZZZ\nLicence number: 12345678'],
  ])('AGR-1 has the two numbers of an Open License in either order: %s', (text) => {
    expect(toRequestBody(parseForm(text).form)).toMatchObject({
      authorizationNumber: '98765432ZZZ',
      licenseNumber: '12345678',
    });
  });
});

describe('the form in the manual', () => {
  it('EXC-13 is complete and can be sent as shown', () => {
    const [exampleForm = ''] = /(?:^ {7}.+\n)+/m.exec(readProjectFile('docs/manual/license-administrator.md')) ?? [];
    const { form, errors } = parseForm(exampleForm);
    expect(errors).toEqual([]);
    expect(Object.keys(toRequestBody(form))).toEqual(Object.keys(body));
    expect(Object.values(toRequestBody(form).requester ?? {})).toHaveLength(3);
  });
});

describe('a label', () => {
  it.each([
    [
      'organizationName',
      ['Organisation', 'COMPANY NAME', '1. Organization name', '-- organization', '*Organization name*'],
    ],
    ['agreementNumber', ['Agreement no.', 'agreement #', 'The agreement number', 'Agreement number *']],
    [
      'keyLastFive',
      ['Last 5 digits', 'Last five characters of the key', 'Product key ending in', 'Last five (5) digits'],
    ],
    ['businessReason', ['Reason', 'Business justification', 'b) Reason for the request', '**Business reason**']],
  ] as const)('EXC-13 can be rawValues in common ways: %s', (field, labels) => {
    for (const label of labels) expect(parseForm(`${label}: BCDFG`).rawValues, label).toEqual({ [field]: 'BCDFG' });
  });

  it.each([
    'Name',
    'Requester’s name',
    "Requester's Name",
    'Requesters name',
    'Requestor name',
    'Requester (full) name',
  ])('EXC-13 of the requester: %s', (label) => {
    expect(parseForm(`${label}: Inés Oliveira`).form.requester.name).toBe('Inés Oliveira');
  });

  it.each([
    ['kind', 'kind | kind of request | request kind | type of request | request type | exception process'],
    ['organizationName', 'organization | organization name | name of organization | name of the organization'],
    ['organizationName', 'company | company name'],
    ['agreementNumber', 'agreement | agreement number | agreement no | agreement nr | agreement id'],
    ['authorizationNumber', 'authorization | authorization number | authorization no | open authorization number'],
    ['licenseNumber', 'license | license number | license no | open license number'],
    ['licenseNumber', 'license and authorization numbers | license and authorization number'],
    ['licenseNumber', 'authorization and license numbers | authorization and license number'],
    ['requesterName', 'requester | requested by | requester name, phone and email | requestor | requestors'],
    ['requesterName', 'requester name, phone number and email | name | full name | your name | contact name'],
    ['requesterName', 'requester name | name of requester'],
    ['requesterPhone', 'phone | telephone | telephone number | tel | your phone | requester phone | phone number'],
    ['requesterEmail', 'email | e-mail | email address | e-mail addresses | your email | requester email'],
    ['product', 'product | product name | product - name | product(full)name'],
    ['keyLastFive', 'key | product key | key ending in | product key ending in | key last five | last 5'],
    ['activationsRequested', 'activations | activations requested | number of activations | number requested'],
    ['activationsRequested', 'number of activations requested | number of additional activations'],
    ['activationsRequested', 'number of additional activations requested | additional activations'],
    ['activationsRequested', 'additional activations requested | number of hosts | number of hosts requested'],
    ['activationsRequested', 'number of kms hosts requested | hosts requested'],
    ['businessReason', 'reason | reason for request | reason for the request | business reason'],
    ['businessReason', 'business reason for request | business reason for the request | business justification'],
    ['requiredDate', 'required date | date required | required by | required by date | needed by | date needed'],
    ['language', 'language | language of request | language of the request'],
    ['noticesCorrespondent', 'notices correspondent | notice correspondent | notices correspondent’s name'],
    ['noticesCorrespondent', 'notices correspondent’s phone | notices correspondent’s email'],
  ] as const)('EXC-13 of %s is any of: %s', (field, labels) => {
    for (const label of labels.split(' | ')) {
      const rawValues = parseForm(`${label}: Alder`).rawValues;
      expect(rawValues, label).toEqual({ [field]: 'Alder' });
      expect(parseForm(`  12. ${label}: Alder`).rawValues, label).toEqual(rawValues);
    }
  });

  it.each(['Agreement associated with the key number', 'Our last 5 keys', 'Very product'])(
    'EXC-13 is not found inside longer text: %s',
    (label) => {
      expect(parseForm(`${label}: Alder`).rawValues).toEqual({});
    },
  );

  it('EXC-13 is at most as long as the longest published label', () => {
    const explained = (length: number) => `Product (${'x'.repeat(length - 'Product ()'.length)})`;
    expect(parseForm(`${explained(160)}: Alder`).rawValues).toEqual({ product: 'Alder' });
    expect(parseForm(`${explained(161)}: Alder`).rawValues).toEqual({});
  });

  it('EXC-13 can be bold, without cutting its value', () => {
    expect(parseForm('*Product:* Windows Vista Business').rawValues).toEqual({ product: 'Windows Vista Business' });
    expect(parseForm('**Product:**\nWindows Vista Business').rawValues).toEqual({ product: 'Windows Vista Business' });
    expect(parseForm('Reason: *new* school, __all__ of it').rawValues).toEqual({
      businessReason: '*new* school, __all__ of it',
    });
  });

  it('comes before its value, which can be on the next line or in the next cell', () => {
    expect(parseForm('Product:\nWindows Vista Business').form.product).toBe('windows-vista-business');
    expect(parseForm('Product\tWindows Vista Business\t').form.product).toBe('windows-vista-business');
    expect(parseForm('Product\n\t\nWindows Vista Business\n\t').form.product).toBe('windows-vista-business');
    expect(parseForm('Product：Windows Vista Business').form.product).toBe('windows-vista-business');
  });

  it('has its value on one line of bounded length, except for a reason', () => {
    expect(parseForm('Product: Windows Vista Business\nThank you').rawValues).toEqual({
      product: 'Windows Vista Business',
    });
    expect(parseForm('Product:\nWindows Vista Business\nThank you').rawValues).toEqual({
      product: 'Windows Vista Business',
    });
    expect(parseForm(`Company: ${'x'.repeat(1_001)}`).rawValues.organizationName).toHaveLength(1_000);
    expect(parseForm(`Reason: ${'x'.repeat(5_001)}`).rawValues.businessReason).toHaveLength(5_000);
  });

  it('without a value does not take the next label as its value', () => {
    const { rawValues } = parseForm('Agreement number:\nAuthorization number:\nLicense number: 1\nProduct:\n\nThanks');
    expect(rawValues).toEqual({ licenseNumber: '1' });
  });

  it('that is unknown is not a field', () => {
    expect(parseForm('Color: red\nhttps://alder.example: our page\nKey colour: red').rawValues).toEqual({});
  });
});

describe('a value', () => {
  it.each([
    ['2027-06-14', '2027-06-14'],
    ['14 June 2027', '2027-06-14'],
    ['June 14, 2027', '2027-06-14'],
    ['14th of June, 2027.', '2027-06-14'],
    ['Jun 14 2027', '2027-06-14'],
    ['14-Jun-2027', '2027-06-14'],
    ['Monday, June 14th, 2027', '2027-06-14'],
    ['Mon, 14 Jun 2027', '2027-06-14'],
    ['2027/6/4', '2027-06-04'],
    ['13/06/2027', '2027-06-13'],
    ['06/13/2027', '2027-06-13'],
    ['06.06.2027', '2027-06-06'],
    ['29 February 2028', '2028-02-29'],
    ['Monday,  14 June 2027', '2027-06-14'],
    ['14 June 2027 .', '2027-06-14'],
    ['June 14 ,, 2027.,', '2027-06-14'],
    ['Sept 7, 2027', '2027-09-07'],
    ['14  June  2027', '2027-06-14'],
    ['June  14  2027', '2027-06-14'],
    ['1 January 2027', '2027-01-01'],
    ['1 February 2027', '2027-02-01'],
    ['1 March 2027', '2027-03-01'],
    ['1 April 2027', '2027-04-01'],
    ['1 May 2027', '2027-05-01'],
    ['1 July 2027', '2027-07-01'],
    ['1 August 2027', '2027-08-01'],
    ['1 October 2027', '2027-10-01'],
    ['1 November 2027', '2027-11-01'],
    ['1 December 2027', '2027-12-01'],
    ['Tuesday 15 June 2027', '2027-06-15'],
    ['Wednesday 16 June 2027', '2027-06-16'],
    ['Thursday 17 June 2027', '2027-06-17'],
    ['Friday 18 June 2027', '2027-06-18'],
    ['Saturday 19 June 2027', '2027-06-19'],
    ['Sunday 20 June 2027', '2027-06-20'],
  ])('EXC-13 is an unambiguous date: %s', (text, date) => {
    expect(parseForm(`Required date: ${text}`).form.requiredDate).toBe(date);
  });

  it.each([
    ['06/07/2027', 'is ambiguous; write it as 2027-06-14 or 14 June 2027'],
    ['12-11-2027', 'is ambiguous; write it as 2027-06-14 or 14 June 2027'],
    ['31 June 2027', 'must be a date such as 2027-06-14 or 14 June 2027'],
    ['29 February 2027', 'must be a date such as 2027-06-14 or 14 June 2027'],
    ['14/06/27', 'must be a date such as 2027-06-14 or 14 June 2027'],
    ...[
      '2027-06-145',
      '14 June 20271',
      'by June 14, 2027',
      'on 13/06/2027',
      'on 2027-06-14',
      'on 14 June 2027',
      'on Monday 14 June 2027',
      'June 14 20271',
      '13/06/20271',
      'Monday 14 June 2027 at noon',
      '4 Janua 2027',
      '4 Quintember 2027',
    ].map((text) => [text, 'must be a date such as 2027-06-14 or 14 June 2027']),
    ['as soon as possible', 'must be a date such as 2027-06-14 or 14 June 2027'],
    ['Tuesday 14 June 2027', 'has the wrong weekday: 2027-06-14 is a Monday'],
  ])('EXC-13 is refused as an ambiguous date or no date: %s', (text, message) => {
    expect(parseForm(`Required date: ${text}`).form.requiredDate).toBeUndefined();
    expect(errorsOf(`Required date: ${text}`)).toEqual([{ pointer: '/requiredDate', message }]);
  });

  it('is the same day for any day in each written form', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('2026-01-01'), max: new Date('2099-12-31'), noInvalidDate: true }),
        (date) => {
          const iso = date.toISOString().slice(0, 10);
          const named = (options: Intl.DateTimeFormatOptions, locale: string) =>
            date.toLocaleDateString(locale, { ...options, year: 'numeric', day: 'numeric', timeZone: 'UTC' });
          for (const locale of ['en-US', 'en-GB']) {
            for (const month of ['long', 'short'] as const) {
              expect(parseForm(`Required date: ${named({ month }, locale)}`).form.requiredDate).toBe(iso);
              const withDay = named({ month, weekday: month }, locale);
              expect(parseForm(`Required date: ${withDay}`).form.requiredDate, withDay).toBe(iso);
            }
          }
        },
      ),
      { numRuns: 50 },
    );
  });

  it.each([
    ['150', 150],
    ['1,500', 1500],
    ['1 500', 1500],
    ['1\u202f500', 1500],
    ['10 more hosts', 10],
    ['+25 activations', 25],
    ['+ 25 activation.', 25],
    ['1,500,000', 1_500_000],
    ['12,500', 12_500],
    ['12  additional  kms  hosts', 12],
    ['3kmshosts', 3],
    ['0', 0],
  ])('is an integer: %s', (text, count) => {
    expect(parseForm(`Activations: ${text}`).form.activationsRequested).toBe(count);
  });

  it.each(['about 150', '1.500', '1,50', '-5', '1e3', 'ten', '150 or 200'])('is refused as no integer: %s', (text) => {
    expect(errorsOf(`Activations: ${text}`)).toEqual([
      { pointer: '/activationsRequested', message: 'must be a whole number, such as 1500' },
    ]);
  });

  it.each([
    ['windows-server-2008-standard', 'windows-server-2008-standard'],
    ['Windows Server 2008 Standard', 'windows-server-2008-standard'],
    ['Microsoft® Windows Server® 2008 Standard Edition', 'windows-server-2008-standard'],
    ['windows  vista ENTERPRISE', 'windows-vista-enterprise'],
    ['Windows Server 2008 for Itanium-Based Systems', 'windows-server-2008-itanium'],
    ['windows-server-2008-itanium', 'windows-server-2008-itanium'],
  ])('KEY-3 is a product by its code or by its name in the catalog: %s', (text, product) => {
    expect(parseForm(`Product: ${text}`).form.product).toBe(product);
  });

  it.each(['Windows Vista', 'Windows Server 2008', 'Windows', 'Windows Server 2008 Edition Standard'])(
    'KEY-3 is refused as an ambiguous or unknown product: %s',
    (text) => {
      const [fault] = errorsOf(`Product: ${text}`);
      expect(fault).toMatchObject({ pointer: '/product' });
      expect(fault?.message).toMatch(/^must be one of: Windows Vista Business, Windows Vista Enterprise, /);
    },
  );

  it.each([
    'BCDFG',
    ' b c d f g',
    '*****-*****-*****-*****-BCDFG',
    'xxxxx-xxxxx-xxxxx-xxxxx-BCDFG',
    '…BCDFG',
    '“BCDFG”.',
  ])('KEY-6 is the last five characters of a key, however the rest is masked: %s', (text) => {
    expect(parseForm(`Product key: ${text}`).form.keyLastFive?.toUpperCase()).toBe('BCDFG');
  });

  it.each(['AHJKMP', 'BC.DFG', 'BCDF'])('KEY-6 is kept as written when it is not five characters: %s', (text) => {
    expect(parseForm(`Product key: ${text}`).form.keyLastFive).toBe(text);
  });

  it('KEY-6 keeps only the last five characters of a complete key', () => {
    const { form, rawValues } = parseForm(
      'Product key: HJKMP-QRTVW-XY234-67892-BCDFG\nReason: hjkmp-qrtvw-xy234-67892-bcdfg is full',
    );
    expect(form.keyLastFive).toBe('BCDFG');
    expect(JSON.stringify({ form, rawValues })).not.toMatch(/hjkmp/i);
  });

  it.each([
    'Inés Oliveira, +1 425 555 0101, ines@alder.example',
    'Inés Oliveira <ines@alder.example> +1 425 555 0101',
    'ines@alder.example; +1 425 555 0101; Inés Oliveira',
    'Inés Oliveira\n  phone: +1 425 555 0101\n  ines@alder.example <mailto:ines@alder.example>',
    'Name : Inés Oliveira, phone +1 425 555 0101, email ines@alder.example',
    'Inés Oliveira phone number: +1 425 555 0101 e-mail address : ines@alder.example',
    'Inés Oliveira tel. +1 425 555 0101 e-mail: ines@alder.example',
    'Inés Oliveira Tel +1 425 555 0101 E-mail ines@alder.example',
    'Inés Oliveira phone +1 425 555 0101 email ines@alder.example',
    'Inés Oliveira email ines@alder.example phone : +1 425 555 0101',
    'Inés Oliveira e-mail ines@alder.example tel:+1 425 555 0101',
    'Inés Oliveira phone number +1 425 555 0101, ines@alder.example',
    'Name:Inés Oliveira, +1 425 555 0101, ines@alder.example',
    'Inés Oliveira ines@alder.example head of it +1 425 555 0101',
    'Inés Oliveira +1 425 555 0101 head of it ines@alder.example',
  ])('EXC-1 is a person in any order: %s', (text) => {
    expect(parseForm(`Requester: ${text}`).form.requester).toEqual(body.requester);
    expect(parseForm(`Notices Correspondent: ${text}`).form.noticesCorrespondent).toEqual(body.requester);
  });

  it('EXC-1 is a person with labeled parts directly below', () => {
    const parts = 'Name: Noor Haddad\nPhone: +1 425 555 0103\nE-mail: noor@alder.example';
    const { form } = parseForm(`Notices Correspondent:\n${parts}\n\n${completeForm}`);
    expect(form.requester).toEqual(body.requester);
    expect(form.noticesCorrespondent).toEqual({
      name: 'Noor Haddad',
      phone: '+1 425 555 0103',
      email: 'noor@alder.example',
    });
    expect(parseForm(`Requester: Noor Haddad\n${parts.slice(18)}`).form.requester).toEqual(form.noticesCorrespondent);
  });

  it.each(['+1 425 555 0101', '(425) 555-0101', '425.555.0101 x12', '425/5550101ext. 1234', '4255550101 ext 123'])(
    'EXC-1 has a phone number in a common format: %s',
    (phone) => {
      const { requester } = parseForm(`Requester: Inés Oliveira, ${phone}, ines@alder.example`).form;
      expect(requester).toEqual({ ...body.requester, phone });
    },
  );

  it.each(['Telma Namer', 'Inés surname: Oliveira'])('EXC-1 has an unsplit name: %s', (name) => {
    expect(parseForm(`Requester: ${name}, +1 425 555 0101`).form.requester.name).toBe(name);
  });

  it('EXC-1 is a person up to an empty line or cell, after which another person starts', () => {
    for (const gap of ['', '   ', '\t']) {
      const { form } = parseForm(`Notices Correspondent: Noor Haddad\n${gap}\nPhone: +1 425 555 0101`);
      expect(form.noticesCorrespondent).toEqual({ name: 'Noor Haddad', phone: undefined, email: undefined });
      expect(form.requester.phone).toBe('+1 425 555 0101');
    }
  });

  it('EXC-13 is a Correspondent in several pieces without repetition', () => {
    const pieces = [
      'Notices Correspondent: Noor Haddad',
      'Notices Correspondent’s phone number: +1 425 555 0103',
      'Notices Correspondent’s e-mail: noor@alder.example',
    ].join('\n\n');
    const { form, errors } = parseForm(pieces);
    expect(errors).toEqual([]);
    expect(toRequestBody(form)).toEqual({
      requester: {},
      noticesCorrespondent: { name: 'Noor Haddad', phone: '+1 425 555 0103', email: 'noor@alder.example' },
    });
    expect(
      Object.keys(toRequestBody(parseForm('Notices Correspondent: Noor').form).noticesCorrespondent ?? {}),
    ).toEqual(['name']);
  });

  it('EXC-13 is an email address without surrounding text, or the text when there is no address', () => {
    expect(parseForm('E-mail: Inés <ines@alder.example>').form.requester.email).toBe('ines@alder.example');
    expect(parseForm('E-mail: ask me').form.requester.email).toBe('ask me');
  });

  it('AGR-1 is one number under a label for two, or none', () => {
    expect(parseForm('License and authorization numbers: 12345678').rawValues).toEqual({ licenseNumber: '12345678' });
    const either = 'Agreement number, or license and authorization numbers';
    expect(parseForm(`${either}: E-1001`).rawValues).toEqual({ agreementNumber: 'E-1001' });
    expect(parseForm(`${either}: ask Noor`).rawValues).toEqual({ agreementNumber: 'ask Noor' });
  });

  it('EXC-1 is the part of a person that is given', () => {
    expect(parseForm('Requester: Inés Oliveira').form.requester).toEqual({
      ...body.requester,
      phone: undefined,
      email: undefined,
    });
    expect(parseForm("Notices Correspondent's e-mail: noor@alder.example").form.noticesCorrespondent).toMatchObject({
      email: 'noor@alder.example',
    });
  });

  it('EXC-13 is a reason of many lines, up to the next label or the signature', () => {
    const text =
      'Reason: Two schools:\n\n  Elm and\n  Fir. Note: both are new.\n\nRequired date: 2027-01-04\n-- \nInés';
    expect(parseForm(text).form.businessReason).toBe('Two schools:\n\nElm and\nFir. Note: both are new.');
    expect(parseForm('Reason: it grows.\n-- \nInés').form.businessReason).toBe('it grows.');
  });

  it.each([
    ['de', 'de'],
    ['German', 'de'],
    ['PORTUGUESE', 'pt'],
    ['pt-BR', 'pt-BR'],
    ...Object.entries({
      ar: 'Arabic',
      cs: 'Czech',
      da: 'Danish',
      de: 'German',
      el: 'Greek',
      en: 'English',
      es: 'Spanish',
      fi: 'Finnish',
      fr: 'French',
      he: 'Hebrew',
      hu: 'Hungarian',
      it: 'Italian',
      ja: 'Japanese',
      ko: 'Korean',
      nl: 'Dutch',
      no: 'Norwegian',
      pl: 'Polish',
      pt: 'Portuguese',
      ru: 'Russian',
      sv: 'Swedish',
      tr: 'Turkish',
      uk: 'Ukrainian',
      zh: 'Chinese',
    }).map(([tag, name]) => [name, tag]),
  ])('SLA-3 is a language by its tag or its name: %s', (text, language) => {
    expect(parseForm(`Language: ${text}`).form.language).toBe(language);
  });
});

describe('the kind', () => {
  it.each([
    ['Kind: KMSADD', '', 'KMSADD'],
    ['Kind: makadd', '', 'MAKADD'],
    ['Type of request: KMS ADD', '', 'KMSADD'],
    ['Kind: MAK', '', 'MAKADD'],
    ['', 'FW: kmsadd request', 'KMSADD'],
    ['Kind: KMSADD', 'MAKADD', 'KMSADD'],
    ['', 'KMSADD or MAKADD?', undefined],
    ['', 'more activations', undefined],
  ])('EXC-13 can be in its own line or in the subject: %j, %j', (text, subject, kind) => {
    expect(parseForm(text, subject).form.kind).toBe(kind);
  });

  it('EXC-13 is reported as wrong when it is neither kind', () => {
    expect(errorsOf('Kind: OEM', 'MAKADD')).toEqual([{ pointer: '/kind', message: 'must be KMSADD or MAKADD' }]);
  });
});

describe('a field that occurs twice', () => {
  it('EXC-13 counts once when both values are equal', () => {
    expect(errorsOf('Product: windows-vista-business\nProduct: windows-vista-business')).toEqual([]);
  });

  it('EXC-13 is refused when the values differ', () => {
    const { form, errors } = parseForm('Activations: 150\nActivations: 1500');
    expect(form.activationsRequested).toBeUndefined();
    expect(errors).toEqual([
      { pointer: '/activationsRequested', message: 'has more than one value; keep one of them' },
    ]);
  });

  it('EXC-13 does not affect the other fields', () => {
    const { form } = parseForm('Activations: 150\nActivations: 1500\nReason: it grows.\nLanguage: de');
    expect(form).toMatchObject({ businessReason: 'it grows.', language: 'de' });
  });

  it('is that of the form, not that of a signature that repeats it', () => {
    const { form, errors } = parseForm(`${completeForm}\n\nBest\nPhone: +1 425 555 9999\nE-mail: office@alder.example`);
    expect(toRequestBody(form)).toEqual(body);
    expect(errors).toEqual([]);
    const signed = parseForm(`${completeForm}\nLanguage: de\n\nBest\nName: The office\nLanguage: German or English`);
    expect(toRequestBody(signed.form)).toEqual({ ...body, language: 'de' });
    expect(signed.errors).toEqual([]);
  });
});

describe('the form that is returned', () => {
  it('EXC-13 has the values that could be parsed', () => {
    expect(
      formatForm(toFormLines(parseForm('Reason: it grows.\nProduct: Windows Vista\nAgreement number: E-1001'))),
    ).toBe(
      `Organization name:
Agreement number: E-1001
Requester’s name:
Requester’s phone number:
Requester’s email address:
Product: Windows Vista
Last five digits of product key:
Number of activations requested:
Business reason for request: it grows.
Required date:`,
    );
  });

  it('AGR-1 has the agreement lines that the sender started, or all of them', () => {
    const labels = (text: string) =>
      toFormLines(parseForm(text))
        .map(({ label }) => label)
        .filter((label) => / number$/.test(label) && !label.startsWith('Requester'));
    expect(labels('')).toEqual(['Agreement number', 'Authorization number', 'License number']);
    expect(labels('Agreement number: 1')).toEqual(['Agreement number']);
    expect(labels('License number: 1')).toEqual(['Authorization number', 'License number']);
    expect(labels('Authorization number: 1')).toEqual(['Authorization number', 'License number']);
  });

  it('EXC-13 is parsed to the same values, whatever they are', () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 40 });
    const line = fc.oneof(
      fc
        .tuple(fc.constantFrom(...completeForm.split('\n').map((each) => each.split(':')[0] ?? '')), word)
        .map(([a, b]) => `${a}: ${b}`),
      fc.constantFrom(
        '> quoted',
        '',
        'Kind: MAKADD',
        'Language: German',
        'Notices Correspondent: Noor, c@d.example',
        ...completeForm.split('\n'),
      ),
      word,
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 15 }), (lines) => {
        const result = parseForm(lines.join('\n'));
        const reparsed = parseForm(formatForm(toFormLines(result)));
        expect(reparsed.rawValues).toEqual(result.rawValues);
      }),
      { numRuns: 300 },
    );
  });

  it('EXC-13 has a label for each field, and the value without surrounding spaces', () => {
    const fields = [
      ['kind', '/kind', 'Kind'],
      ['organizationName', '/organizationName', 'Organization name'],
      ['agreementNumber', '/agreementNumber', 'Agreement number'],
      ['authorizationNumber', '/authorizationNumber', 'Authorization number'],
      ['licenseNumber', '/licenseNumber', 'License number'],
      ['requesterName', '/requester/name', 'Requester’s name'],
      ['requesterPhone', '/requester/phone', 'Requester’s phone number'],
      ['requesterEmail', '/requester/email', 'Requester’s email address'],
      ['product', '/product', 'Product'],
      ['keyLastFive', '/keyLastFive', 'Last five digits of product key'],
      ['activationsRequested', '/activationsRequested', 'Number of activations requested'],
      ['businessReason', '/businessReason', 'Business reason for request'],
      ['requiredDate', '/requiredDate', 'Required date'],
      ['language', '/language', 'Language'],
      ['noticesCorrespondent', '/noticesCorrespondent', 'Notices Correspondent'],
    ] as const;
    const rawValues = Object.fromEntries(fields.map(([field]) => [field, ` ${field} `]));
    expect(toFormLines({ rawValues })).toEqual(fields.map(([field, , label]) => ({ field, label, value: field })));
    expect(fields.map(([, pointer]) => labelOfPointer(pointer))).toEqual(fields.map(([, , label]) => label));
  });

  it('has labels for pointers, and the pointer itself where there is no label', () => {
    expect(labelOfPointer('/requester/email')).toBe('Requester’s email address');
    expect(labelOfPointer('/noticesCorrespondent')).toBe('Notices Correspondent');
    expect(labelOfPointer('/noticesCorrespondent/name')).toBe('Notices Correspondent’s name');
    expect(labelOfPointer('/noticesCorrespondent/phone')).toBe('Notices Correspondent’s phone number');
    expect(labelOfPointer('/noticesCorrespondent/email')).toBe('Notices Correspondent’s email address');
    expect(labelOfPointer('/noticesCorrespondent/age')).toBe('Notices Correspondent’s age');
    for (const pointer of ['/elsewhere', '/a/noticesCorrespondent/name', '/noticesCorrespondent/name/a']) {
      expect(labelOfPointer(pointer)).toBe(pointer);
    }
  });
});

describe('a text that is made to be slow', () => {
  const many = 200_000;
  it.each([
    ['spaces', ' '.repeat(5_000_000)],
    ['marks of quotation', '>'.repeat(5_000_000)],
    ['colons', ':\n'.repeat(many)],
    ['labels without a value', 'Name\n\t\n'.repeat(many / 2)],
    ['beginnings of a history', 'From: a\n'.repeat(many)],
    ['almost attributions', `On a@b ${'x'.repeat(380)}\n`.repeat(10_000)],
    ['pieces of a key', 'BCDFG-'.repeat(many)],
    ['a masked key without an end', `Key: ${'xxxxx-'.repeat(many)}`],
    ['a requester without an end', `Requester: ${'a'.repeat(5_000_000)}`],
    ['a reason without an end', `Reason: ${'x\n\n'.repeat(many / 3)}`],
  ])('EXC-13 is parsed, and its values are bounded: %s', (_, text) => {
    const { rawValues } = parseForm(text);
    for (const value of Object.values(rawValues)) expect(value.length).toBeLessThanOrEqual(5_000);
  });
});
