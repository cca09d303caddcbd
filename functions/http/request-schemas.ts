import * as z from 'zod';
import type { Agreement, AgreementNumbers } from '../../domain/agreement.ts';
import { agreementIdOf, normalizeEmail } from '../../domain/agreement.ts';
import type { CivilDate } from '../../domain/calendar/instant.ts';
import { civilDate } from '../../domain/calendar/instant.ts';
import { levels, productGroups, products, programs } from '../../domain/catalog.ts';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import type { RequestForm } from '../../domain/exceptions/request.ts';
import { maskProductKeys, productKeyCharacters } from '../../domain/keys/product-key.ts';
import { exceptionKinds } from '../../domain/remedy.ts';
import { Secret } from '../../domain/secret.ts';
import type { Route } from '../manifest.ts';

/*
 * The schemas of request bodies and queries. Each is parsed once, into a domain value. The OpenAPI document is generated
 * from them.
 *
 * A schema is created at its first use: creating all of them would be a third of a cold start, and a function answers few
 * of the routes.
 */

// Control characters, line and paragraph separators, and characters that change the direction of text.
const unprintable = /[\p{Cc}\p{Cs}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u;
const unprintableButBreaks = /[^\P{Cc}\n\r\t]|[\p{Cs}\u2028\u2029\u202A-\u202E\u2066-\u2069]/u;

// The same for the OpenAPI document, in the syntax of every regular-expression engine.
const printable = '^[^\\u0000-\\u001F\\u007F-\\u009F\\u2028\\u2029\\u202A-\\u202E\\u2066-\\u2069]*$';
const printableOrBreaks = printable.replace('\\u001F', '\\u0008\\u000B\\u000C\\u000E-\\u001F');

// Free text is stored and emailed unchanged, so a product key in it is masked here (KEY-6).
const singleLine = (charactersMax: number) =>
  z
    .string()
    .trim()
    .overwrite(maskProductKeys)
    .min(1, 'must not be empty')
    .max(charactersMax, `must be at most ${charactersMax} characters`)
    .refine((text) => !unprintable.test(text), 'must be one line without control characters')
    .meta({ pattern: printable });

const multiLine = (charactersMax: number) =>
  z
    .string()
    .trim()
    .overwrite(maskProductKeys)
    .min(1, 'must not be empty')
    .max(charactersMax, `must be at most ${charactersMax} characters`)
    .refine((text) => !unprintableButBreaks.test(text), 'must not have control characters')
    .meta({ pattern: printableOrBreaks });

const email = () => z.email('must be an email address').max(254, 'must be at most 254 characters');
const integer = (min: number, max: number) =>
  z.int('must be a whole number').min(min, `must be at least ${min}`).max(max, `must be at most ${max}`);
const calendarDate = () =>
  z
    .string()
    .meta({ format: 'date' })
    .transform((text, context): CivilDate => {
      try {
        return civilDate(text);
      } catch {
        context.addIssue({ code: 'custom', message: 'must be a date such as 2027-01-31' });
        return z.NEVER;
      }
    });
const recordNumber = () =>
  z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/, 'must be 1 to 40 letters, digits, dots, hyphens or underscores');

const lastFive = () =>
  z
    .string()
    .trim()
    .toUpperCase()
    .regex(new RegExp(`^[${productKeyCharacters}]{5}$`), 'must be the last five characters of a product key');

/** Creates the schema of a person in an agreement or a request. */
export const personSchema = () => z.strictObject({ name: singleLine(120), email: email(), phone: singleLine(40) });

const agreementNumberFields = () => ({
  agreementNumber: recordNumber().optional(),
  authorizationNumber: recordNumber().optional(),
  licenseNumber: recordNumber().optional(),
});

type AgreementNumberFields = {
  readonly agreementNumber?: string | undefined;
  readonly authorizationNumber?: string | undefined;
  readonly licenseNumber?: string | undefined;
};
type AgreementNumberName = keyof AgreementNumberFields;
const numberNames: readonly AgreementNumberName[] = ['agreementNumber', 'authorizationNumber', 'licenseNumber'];

/**
 * Returns the error of one number of an agreement, or undefined. Open has an authorization and a license number; every other
 * program has one agreement number (AGR-1). A request does not have the program, so the kind that it started must be complete.
 */
function agreementNumberError(body: unknown, name: AgreementNumberName): string | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const isPresent = (each: AgreementNumberName) => each in body;
  const usesTwoNumbers =
    'program' in body ? body.program === 'open' : isPresent('authorizationNumber') || isPresent('licenseNumber');
  const isRequired = (name === 'agreementNumber') !== usesTwoNumbers;
  const expectedNumbers = usesTwoNumbers ? 'an authorization number and a license number' : 'an agreement number';
  if (isRequired && !isPresent(name)) return `is missing; the agreement is named by ${expectedNumbers}`;
  return !isRequired && isPresent(name)
    ? `does not belong here; the agreement is named by ${expectedNumbers}`
    : undefined;
}

/** Checks the numbers even if other fields are wrong, so that all errors are reported at once (EXC-1). */
function withAgreementNumberChecks<Schema extends z.ZodType>(schema: Schema): Schema {
  return numberNames.reduce(
    (refined, name) =>
      refined.refine((body) => agreementNumberError(body, name) === undefined, {
        path: [name],
        error: ({ input }) => agreementNumberError(input, name) ?? '',
        when: () => true,
      }),
    schema,
  );
}

function numbersFrom({ agreementNumber, authorizationNumber, licenseNumber }: AgreementNumberFields): AgreementNumbers {
  if (agreementNumber !== undefined) return { agreementNumber };
  if (authorizationNumber !== undefined && licenseNumber !== undefined) return { authorizationNumber, licenseNumber };
  throw new Error('The numbers of the agreement are incomplete.');
}

/** Returns a check that refuses a list in which two entries have the same name. */
function requireUnique<Entry>(nameOf: (entry: Entry) => string) {
  return (entries: readonly Entry[], context: z.RefinementCtx) => {
    const names = entries.map(nameOf);
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) !== index) {
        context.addIssue({ code: 'custom', path: [index], message: 'is on the list already' });
      }
    }
  };
}

/** The contacts. Their maximum number keeps a change of all of them in one transaction. */
const contacts = () =>
  z
    .array(personSchema())
    .min(1, 'must name at least one contact')
    .max(40, 'must name at most 40 contacts')
    .superRefine(requireUnique(({ email: address }) => normalizeEmail(address)));

const agreementSchema = () =>
  withAgreementNumberChecks(
    z.strictObject({
      /** Derived from the numbers. A value that does not match is refused. */
      agreementId: z.string().describe('Optional. It is derived from the numbers.').optional(),
      program: z.enum(programs),
      level: z.enum(levels).nullable().default(null),
      ...agreementNumberFields(),
      organization: z.strictObject({
        name: singleLine(200),
        country: z.string().regex(/^[A-Z]{2}$/, 'must be a country code of two uppercase letters, such as US'),
        language: languageTag(),
      }),
      products: z
        .array(z.strictObject({ product: z.enum(products), licenses: integer(1, 10_000_000) }))
        .min(1, 'must name at least one product')
        .max(products.length, 'must name each product once')
        .superRefine(requireUnique(({ product }) => product)),
      contacts: contacts(),
      noticesCorrespondent: personSchema(),
    }),
  ).transform((body, context): Agreement => {
    const agreementNumbers = numbersFrom(body);
    const agreementId = agreementIdOf(agreementNumbers);
    if (body.agreementId !== undefined && body.agreementId !== agreementId) {
      context.addIssue({ code: 'custom', path: ['agreementId'], message: `must be ${agreementId}, or omitted` });
      return z.NEVER;
    }
    return {
      agreementId,
      program: body.program,
      level: body.level,
      numbers: agreementNumbers,
      organization: body.organization,
      products: body.products,
      contacts: body.contacts,
      noticesCorrespondent: body.noticesCorrespondent,
      pendingNoticesCorrespondent: null,
      deputy: null,
    };
  });

function languageTag() {
  return z
    .string()
    .trim()
    .max(35, 'must be at most 35 characters')
    .refine((tag) => {
      try {
        return Intl.getCanonicalLocales(tag).length === 1;
      } catch {
        return false;
      }
    }, 'must be a language tag such as en or pt-BR');
}

export const requestFormSchema = z.lazy(() =>
  withAgreementNumberChecks(
    z.strictObject({
      kind: z.enum(exceptionKinds),
      organizationName: singleLine(200),
      ...agreementNumberFields(),
      requester: personSchema(),
      product: z.enum(products),
      keyLastFive: lastFive().describe('The last five characters of the product key.'),
      activationsRequested: integer(1, 1_000_000).describe('Activations (MAK) or host slots (KMS) to add.'),
      businessReason: multiLine(4_000).describe('The reason. The Notices Correspondent reads it.'),
      requiredDate: calendarDate().describe('The date by which the activations are needed.'),
      language: languageTag().describe('The language of the request (BCP 47).').default('en'),
      noticesCorrespondent: personSchema()
        .describe(
          'The Notices Correspondent as the requester knows them. The approval always goes to the one in the agreement.',
        )
        .optional(),
    }),
  ).transform(
    ({ agreementNumber, authorizationNumber, licenseNumber, noticesCorrespondent, ...body }): RequestForm => ({
      ...body,
      ...numbersFrom({ agreementNumber, authorizationNumber, licenseNumber }),
      noticesCorrespondent: noticesCorrespondent ?? null,
    }),
  ),
);

// A product key is a secret as soon as it is parsed.
const productKey = () =>
  z
    .string()
    .max(100, 'must be a product key of 25 characters')
    .describe('The product key: 25 characters in any case, with or without hyphens and spaces.')
    .transform((text) => new Secret(text, '[product key]'));
// In a batch, an error in one line is reported in its result, so the schema accepts any string of this length.
const batchInstallationId = () =>
  z
    .string()
    .max(120, 'must be an installation ID of 54 digits')
    .describe('54 digits: nine groups of six, optionally separated by spaces or hyphens.');
const installationId = () => batchInstallationId().meta({ pattern: '^[\\s-]*(\\d[\\s-]*){54}$' });
const machineName = () => singleLine(63).describe('The name of the machine.').optional();
const callReference = () =>
  singleLine(120).describe('The reference of the call. The same reference on the same key grants nothing more.');
const callerName = () => singleLine(120).describe('The name of the caller.');
const machineCount = () => integer(0, 10_000_000).default(0);

/** The body schemas, by route. */
export const bodies = {
  'POST /agreements': z.lazy(agreementSchema),
  'PUT /agreements/{agreementId}/contacts': z.lazy(() => z.strictObject({ contacts: contacts() })),
  'POST /agreements/{agreementId}/keys': z.lazy(() =>
    z.strictObject({
      type: z.literal('MAK'),
      productGroup: z.enum(productGroups),
    }),
  ),
  'POST /keys/{keyId}/reveal': z.lazy(() => z.strictObject({})),
  'POST /activations': z.lazy(() =>
    z.strictObject({
      productKey: productKey(),
      installationId: installationId(),
      product: z.enum(products),
      machineName: machineName(),
    }),
  ),
  'POST /kms-hosts/client-reports': z.lazy(() =>
    z.strictObject({
      productKey: productKey(),
      installationId: installationId(),
      clients: integer(0, 100_000_000).describe('The number of machines that the host serves.'),
    }),
  ),
  'POST /activations/batch': z.lazy(() =>
    z.strictObject({
      productKey: productKey(),
      activations: z
        .array(
          z.strictObject({
            installationId: batchInstallationId(),
            product: z.enum(products),
            machineName: machineName(),
          }),
        )
        .min(1, 'must have at least one installation')
        .max(90, 'must have at most 90 installations; send the others in another batch'),
    }),
  ),
  'POST /validations': z.lazy(() => z.strictObject({ productKey: productKey(), installationId: installationId() })),
  'POST /keys/{keyId}/replacements': z.lazy(() =>
    z.strictObject({
      reason: multiLine(2_000),
      callReference: callReference().optional(),
    }),
  ),
  'PUT /agreements/{agreementId}/notices-correspondent': z.lazy(personSchema),
  'PUT /agreements/{agreementId}/deputy': z.lazy(() =>
    z
      .strictObject({ person: personSchema(), from: calendarDate(), to: calendarDate() })
      .refine(({ from, to }) => from <= to, { path: ['to'], message: 'must not be before the first day' }),
  ),
  'POST /plans': z.lazy(() =>
    z.strictObject({
      program: z.enum(programs),
      sites: z
        .array(
          z
            .strictObject({
              name: singleLine(120),
              client: machineCount(),
              'server-a': machineCount(),
              'server-b': machineCount(),
              'server-c': machineCount(),
            })
            .transform(({ name, ...counts }) => ({ name, machines: counts })),
        )
        .min(1, 'must name at least one site')
        .max(500, 'must name at most 500 sites'),
    }),
  ),
  'POST /keys/{keyId}/overrides': z.lazy(() =>
    z.strictObject({ installationId: installationId(), callReference: callReference(), callerName: callerName() }),
  ),
  'POST /keys/{keyId}/increases': z.lazy(() =>
    z.strictObject({
      newLimit: integer(1, 1_000_000_000).describe('The new limit, not the number to add.'),
      callReference: callReference(),
      callerName: callerName(),
    }),
  ),
  'POST /exceptions': requestFormSchema,
  'POST /exceptions/{exceptionId}/questions': z.lazy(() => z.strictObject({ text: multiLine(4_000) })),
  'POST /exceptions/{exceptionId}/answers': z.lazy(() => z.strictObject({ text: multiLine(4_000) })),
  'POST /exceptions/{exceptionId}/review': z.lazy(() =>
    z.discriminatedUnion(
      'decision',
      [
        z.strictObject({
          decision: z.literal('forward'),
          activations: integer(1, 1_000_000).describe('A smaller number than requested. Optional.').optional(),
        }),
        z.strictObject({ decision: z.literal('reject'), reason: multiLine(2_000) }),
      ],
      { error: ({ code }) => (code === 'invalid_union' ? 'must be forward or reject' : undefined) },
    ),
  ),
  'POST /exceptions/{exceptionId}/withdrawal': z.lazy(() => z.strictObject({ reason: multiLine(2_000).optional() })),
} as const satisfies Partial<Record<Route, z.ZodType>>;

export type BodyOf<R extends Route> = R extends keyof typeof bodies ? z.output<(typeof bodies)[R]> : undefined;

const paging = () => ({
  limit: z
    .string()
    .regex(/^\d{1,3}$/, 'must be a whole number from 1 to 100')
    .transform(Number)
    .pipe(integer(1, 100))
    .default(50),
  cursor: z.string().max(1_024, 'is not a cursor that this list returned').optional(),
});

const pageQuery = z.lazy(() => z.strictObject(paging()));

/** The query schemas, by route. A JSON route without one has no parameters. */
export const queries = {
  'GET /agreements': pageQuery,
  'GET /agreements/{agreementId}/keys': pageQuery,
  'GET /keys/{keyId}/activations': pageQuery,
  'GET /keys/{keyId}/grants': pageQuery,
  'GET /keys/{keyId}/history': pageQuery,
  'GET /call-center/keys': z.lazy(() =>
    z.strictObject({
      ...paging(),
      agreementId: agreementIdParameter().optional(),
      lastFive: lastFive().optional(),
    }),
  ),
  'GET /exceptions': z.lazy(() =>
    z.strictObject({
      ...paging(),
      status: z.enum([...exceptionStatuses, 'open']).optional(),
      agreementId: agreementIdParameter().optional(),
    }),
  ),
  'GET /exceptions/{exceptionId}/history': pageQuery,
} as const satisfies Partial<Record<Route, z.ZodType>>;

export type QueryOf<R extends Route> = R extends keyof typeof queries ? z.output<(typeof queries)[R]> : undefined;

function agreementIdParameter() {
  return z
    .string()
    .trim()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/, 'must be the ID of an agreement');
}

/** The form fields that the approval page posts. */
export const decisionSchema = z.lazy(() =>
  z.object({
    code: z
      .string({ error: 'Enter the code from the email' })
      .transform((text) => text.replace(/[\s-]/g, ''))
      .refine((text) => /^\d{6,8}$/.test(text), 'Enter the digits of the code from the email')
      .transform((text) => new Secret(text, '[code]')),
    decision: z.enum(['approve', 'deny'], { error: 'Choose to approve or to deny' }),
    comment: z
      .string()
      .trim()
      // A browser counts a line break as one character, but sends two.
      .transform((text) => maskProductKeys(text.replaceAll('\r\n', '\n')))
      .pipe(z.string().max(1_000, 'The comment must be at most 1,000 characters'))
      .refine((text) => !unprintableButBreaks.test(text), 'The comment must not have control characters')
      .optional()
      .transform((text) => (text === undefined || text === '' ? null : text)),
  }),
);
