import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { z } from 'zod';
import { bodies, decisionSchema, queries, requestFormSchema } from '../../../functions/http/request-schemas.ts';
import { fieldErrorsOf } from '../../../functions/http/validation-errors.ts';
import { ines, jorge, noor, productKey } from '../../builders.ts';

/** Returns the validation errors of a value, by pointer. */
function errorsOf(schema: z.ZodType, value: unknown): Readonly<Record<string, string>> {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return {};
  return Object.fromEntries(
    parsed.error.issues.flatMap(fieldErrorsOf).map(({ pointer, message }) => [pointer, message]),
  );
}

const agreement = {
  program: 'enterprise',
  agreementNumber: 'E-1001',
  organization: { name: 'Alder School District', country: 'US', language: 'en' },
  products: [{ product: 'windows-vista-business', licenses: 80 }],
  contacts: [ines, jorge],
  noticesCorrespondent: noor,
};
const registrationSchema = bodies['POST /agreements'];

const intake = {
  kind: 'MAKADD',
  organizationName: 'Alder School District',
  agreementNumber: 'E-1001',
  requester: ines,
  product: 'windows-vista-business',
  keyLastFive: 'BCDFG',
  activationsRequested: 150,
  businessReason: 'Two new schools.\nThey open in autumn.',
  requiredDate: '2027-01-04',
};

const without = (body: object, ...names: readonly string[]) =>
  Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)));

describe('every body and query', () => {
  const schemas: readonly [string, z.ZodType][] = Object.entries({ ...bodies, ...queries });

  it.each(schemas)(
    'is accepted or refused by %s without an exception, and each error has a pointer and a message',
    (_, schema) => {
      fc.assert(
        fc.property(fc.jsonValue({ maxDepth: 3 }), (value) => {
          for (const [pointer, message] of Object.entries(errorsOf(schema, value))) {
            expect(pointer).toMatch(/^(\/.*)?$/s);
            expect(message).toMatch(/^\S.*\S$/s);
            expect(message).not.toMatch(/undefined|Invalid input|NaN/);
          }
        }),
        { numRuns: 50 },
      );
    },
  );
});

describe('the numbers of an agreement', () => {
  it('AGR-1 are an authorization and a license number in Open, and one agreement number in every other program', () => {
    const open = { ...without(agreement, 'agreementNumber'), program: 'open' };
    const two = { authorizationNumber: '61204577ZZE0912', licenseNumber: '41980233' };
    expect(errorsOf(registrationSchema, agreement)).toEqual({});
    expect(errorsOf(registrationSchema, { ...open, ...two })).toEqual({});
    expect(Object.keys(errorsOf(registrationSchema, open))).toEqual(['/authorizationNumber', '/licenseNumber']);
    expect(Object.keys(errorsOf(registrationSchema, { ...open, authorizationNumber: '1' }))).toEqual([
      '/licenseNumber',
    ]);
    expect(Object.keys(errorsOf(registrationSchema, { ...open, ...two, agreementNumber: 'E-1001' }))).toEqual([
      '/agreementNumber',
    ]);
    for (const program of ['enterprise', 'select', 'campus-and-school']) {
      expect(Object.keys(errorsOf(registrationSchema, { ...agreement, ...two, program }))).toEqual([
        '/authorizationNumber',
        '/licenseNumber',
      ]);
      expect(Object.keys(errorsOf(registrationSchema, { ...without(agreement, 'agreementNumber'), program }))).toEqual([
        '/agreementNumber',
      ]);
    }
  });

  it('AGR-1 determine the ID; an ID that is sent must match', () => {
    expect(registrationSchema.parse(agreement).agreementId).toBe('E-1001');
    expect(errorsOf(registrationSchema, { ...agreement, agreementId: 'E-1001' })).toEqual({});
    expect(errorsOf(registrationSchema, { ...agreement, agreementId: 'E-2' })).toEqual({
      '/agreementId': 'must be E-1001, or omitted',
    });
  });

  it('AGR-1 EXC-1 of a request must be complete, whichever kind was started', () => {
    const open = without(intake, 'agreementNumber');
    expect(errorsOf(requestFormSchema, intake)).toEqual({});
    expect(errorsOf(requestFormSchema, { ...open, authorizationNumber: '1', licenseNumber: '2' })).toEqual({});
    expect(Object.keys(errorsOf(requestFormSchema, open))).toEqual(['/agreementNumber']);
    expect(Object.keys(errorsOf(requestFormSchema, { ...open, licenseNumber: '2' }))).toEqual(['/authorizationNumber']);
    expect(
      Object.keys(errorsOf(requestFormSchema, { ...intake, authorizationNumber: '1', licenseNumber: '2' })),
    ).toEqual(['/agreementNumber']);
  });
});

describe('an incomplete request', () => {
  it('EXC-1 lists every missing and every wrong field at once', () => {
    expect(
      errorsOf(requestFormSchema, { kind: 'SOMEADD', activationsRequested: 0, requester: { name: '', email: 'ines' } }),
    ).toEqual({
      '/kind': 'must be MAKADD or KMSADD',
      '/organizationName': 'is missing',
      '/agreementNumber': 'is missing; the agreement is named by an agreement number',
      '/requester/name': 'must not be empty',
      '/requester/email': 'must be an email address',
      '/requester/phone': 'is missing',
      '/product': 'is missing',
      '/keyLastFive': 'is missing',
      '/activationsRequested': 'must be at least 1',
      '/businessReason': 'is missing',
      '/requiredDate': 'is missing',
    });
  });

  it('EXC-1 distinguishes a field of the wrong type from a missing one', () => {
    expect(
      errorsOf(requestFormSchema, {
        ...intake,
        organizationName: 5,
        requester: [],
        requiredDate: null,
        product: 'dos',
      }),
    ).toEqual({
      '/organizationName': 'must be a string',
      '/requester': 'must be an object',
      '/requiredDate': 'must be a string',
      '/product': expect.stringMatching(/^must be windows-vista-business or /),
    });
  });
});

describe('a complete request', () => {
  it('EXC-1 has its strings trimmed, its last five in uppercase, and English as the default language', () => {
    const read = requestFormSchema.parse({ ...intake, keyLastFive: ' bcdfg ', organizationName: '  Alder  ' });
    expect(read).toMatchObject({
      keyLastFive: 'BCDFG',
      organizationName: 'Alder',
      language: 'en',
      noticesCorrespondent: null,
    });
    expect(read.businessReason).toBe(intake.businessReason);
  });

  it.each(['en', 'pt-BR', 'zh-Hant-TW', 'sr-Latn'])('SLA-3 accepts the language tag %s', (language) => {
    expect(errorsOf(requestFormSchema, { ...intake, language })).toEqual({});
  });

  it.each(['', 'e', 'en_US', 'en US', '12', 'x'.repeat(36)])(
    'SLA-3 is refused a language that is none: %j',
    (language) => {
      expect(Object.keys(errorsOf(requestFormSchema, { ...intake, language }))).toEqual(['/language']);
    },
  );

  it('accepts texts up to their maximum length', () => {
    for (const [field, most] of [
      ['organizationName', 200],
      ['businessReason', 4_000],
    ] as const) {
      expect(errorsOf(requestFormSchema, { ...intake, [field]: 'x'.repeat(most) })).toEqual({});
      expect(errorsOf(requestFormSchema, { ...intake, [field]: 'x'.repeat(most + 1) })).toEqual({
        [`/${field}`]: `must be at most ${most} characters`,
      });
    }
    for (const [activationsRequested, isWrong] of [
      [1, false],
      [1_000_000, false],
      [0, true],
      [1_000_001, true],
      [1.5, true],
    ] as const) {
      expect(Object.keys(errorsOf(requestFormSchema, { ...intake, activationsRequested }))).toEqual(
        isWrong ? ['/activationsRequested'] : [],
      );
    }
  });

  it('accepts line breaks in paragraphs, and invisible characters nowhere', () => {
    expect(errorsOf(requestFormSchema, { ...intake, organizationName: 'Alder\nDistrict' })).toHaveProperty(
      '/organizationName',
    );
    for (const invisible of ['\u0000', '\u0007', '\u001b[2J', '\u0085', '\u2028', '\u202E', '\u2066', '\ud800']) {
      for (const field of ['organizationName', 'businessReason']) {
        expect(
          errorsOf(requestFormSchema, { ...intake, [field]: `a${invisible}b` }),
          JSON.stringify(invisible),
        ).toHaveProperty(`/${field}`);
      }
    }
    expect(errorsOf(requestFormSchema, { ...intake, organizationName: 'Ünïcödé 学校 🏫 O’Neil & Sons <b>' })).toEqual(
      {},
    );
  });
});

describe('an agreement', () => {
  it('AGR-2 has 1 to 40 contacts, each once', () => {
    const people = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ ...ines, email: `a${index}@b.example` }));
    expect(errorsOf(registrationSchema, { ...agreement, contacts: people(1) })).toEqual({});
    expect(errorsOf(registrationSchema, { ...agreement, contacts: people(40) })).toEqual({});
    expect(Object.keys(errorsOf(registrationSchema, { ...agreement, contacts: [] }))).toEqual(['/contacts']);
    expect(Object.keys(errorsOf(registrationSchema, { ...agreement, contacts: people(41) }))).toEqual(['/contacts']);
    const twice = [ines, { ...jorge, email: ` ${ines.email.toUpperCase()}`.trim() }];
    expect(errorsOf(registrationSchema, { ...agreement, contacts: twice })).toEqual({
      '/contacts/1': 'is on the list already',
    });
  });

  it('KEY-3 names each product once', () => {
    const [product] = agreement.products;
    expect(errorsOf(registrationSchema, { ...agreement, products: [product, product] })).toEqual({
      '/products/1': 'is on the list already',
    });
  });
});

describe('a secret in a body', () => {
  it('KEY-6 APR-1 prints as its mask, however it is printed', () => {
    const key = productKey(5).reveal();
    const body = bodies['POST /activations'].parse({
      productKey: key,
      installationId: '1',
      product: 'windows-vista-business',
    });
    const decision = decisionSchema.parse({ code: '123 456', decision: 'approve' });
    for (const [read, secret] of [
      [body, key],
      [decision, '123456'],
    ] as const) {
      expect(JSON.stringify(read)).not.toContain(secret);
      expect(inspect(read, { depth: 9 })).not.toContain(secret);
    }
    expect(body.productKey.reveal()).toBe(key);
    expect(decision.code.reveal()).toBe('123456');
  });
});

describe('the form of the approval page', () => {
  it('APR-2 accepts the code with spaces and hyphens, with or without a comment', () => {
    for (const code of ['123456', ' 123 456 ', '123-456', '12345678']) {
      expect(errorsOf(decisionSchema, { code, decision: 'deny' }), code).toEqual({});
    }
    for (const code of ['12345', '123456789', '12345a', '', '١٢٣٤٥٦']) {
      expect(Object.keys(errorsOf(decisionSchema, { code, decision: 'deny' })), code).toEqual(['/code']);
    }
    expect(decisionSchema.parse({ code: '123456', decision: 'deny', comment: '  ' }).comment).toBeNull();
    expect(decisionSchema.parse({ code: '123456', decision: 'deny', comment: ' no ' }).comment).toBe('no');
    expect(errorsOf(decisionSchema, { code: '123456', decision: 'deny', comment: 'x'.repeat(1_000) })).toEqual({});
    expect(errorsOf(decisionSchema, { code: '123456', decision: 'deny', comment: 'x'.repeat(1_001) })).toHaveProperty(
      '/comment',
    );
  });
});
