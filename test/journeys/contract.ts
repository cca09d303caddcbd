import { expect } from 'vitest';
import { z } from 'zod';
import { levels, productGroups, products, programs } from '../../domain/catalog.ts';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { flags } from '../../domain/exceptions/request.ts';
import { exceptionKinds } from '../../domain/remedy.ts';
import type { HttpResponse } from './response.ts';

// The bodies of the HTTP contract, member by member. A response can have more members, but each of these must be present
// with this type.

const instant = z.string().regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const date = z.iso.date();
const nonNegativeInt = z.int().min(0);

export const personSchema = z.looseObject({ name: z.string(), email: z.string(), phone: z.string() });

const numbers = {
  agreementNumber: z.string().optional(),
  authorizationNumber: z.string().optional(),
  licenseNumber: z.string().optional(),
};

/** Returns true if a body has exactly one of the two identifications of an agreement. */
const hasOneIdentification = (body: { [Name in keyof typeof numbers]?: string | undefined }) =>
  (body.agreementNumber !== undefined) !== (body.authorizationNumber !== undefined && body.licenseNumber !== undefined);

export const agreementSchema = z
  .looseObject({
    agreementId: z.string(),
    program: z.enum(programs),
    level: z.enum(levels).nullable(),
    ...numbers,
    organization: z.looseObject({ name: z.string(), country: z.string(), language: z.string() }),
    products: z.array(z.looseObject({ product: z.enum(products), licenses: z.int().min(1) })).min(1),
    contacts: z.array(personSchema).min(1),
    noticesCorrespondent: personSchema,
  })
  .refine(hasOneIdentification);

const hostSchema = z.looseObject({
  installationId: z.string().regex(/^\d{54}$/),
  machineName: z.string().nullable(),
  uses: nonNegativeInt,
  usesRemaining: nonNegativeInt,
  overrides: z.looseObject({ granted: nonNegativeInt, spent: nonNegativeInt }),
  firstActivatedAt: instant,
  lastActivatedAt: instant,
  clientsReported: nonNegativeInt.nullable(),
});

const anyKey = {
  keyId: z.string(),
  productGroup: z.enum(productGroups),
  agreementId: z.string(),
  masked: z.string().regex(/^(\*{5}-){4}[BCDFGHJKMPQRTVWXY2346789]{5}$/),
  lastFive: z.string().length(5),
  status: z.enum(['live', 'blocked']),
  limit: nonNegativeInt,
  used: nonNegativeInt,
  remaining: nonNegativeInt,
  issuedAt: instant,
  replaces: z.string().nullable(),
  replacedBy: z.string().nullable(),
  blockedAt: instant.nullable(),
};

export const makSchema = z.looseObject({ ...anyKey, type: z.literal('MAK') });
export const kmsKeySchema = z.looseObject({
  ...anyKey,
  type: z.literal('KMS'),
  usesPerHost: z.literal(10),
  overrides: z.looseObject({ granted: nonNegativeInt, remaining: nonNegativeInt }),
  hosts: z.array(hostSchema),
});
export const keySchema = z.discriminatedUnion('type', [makSchema, kmsKeySchema]);

export const registeredSchema = agreementSchema.and(z.looseObject({ keys: z.array(keySchema) }));

export const revealedSchema = z.strictObject({
  productKey: z.string().regex(/^([BCDFGHJKMPQRTVWXY2346789]{5}-){4}[BCDFGHJKMPQRTVWXY2346789]{5}$/),
});

export const activatedMachineSchema = z.looseObject({
  installationId: z.string().regex(/^\d{54}$/),
  machineName: z.string().nullable(),
  product: z.enum(products),
  activatedAt: instant,
});

export const grantSchema = z.looseObject({
  kind: z.enum(['initial', 'override', 'call-center', 'exception']),
  amount: z.int().min(1),
  at: instant,
  by: z.string(),
  reference: z.string(),
  approvedBy: z.string().nullable(),
});

export const ledgerEntrySchema = z.looseObject({
  sequence: z.int().min(1),
  at: instant,
  actor: z.string(),
  action: z.string(),
  detail: z.string(),
  reference: z.string().nullable(),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});

export const activationSchema = z.looseObject({
  activationId: z.string().min(1),
  confirmationId: z.string().regex(/^\d{48}$/),
  keyType: z.enum(['MAK', 'KMS']),
  activatedAt: instant,
  uses: z.int().min(1).optional(),
  advisory: z.literal('kms-key-on-clients').optional(),
});

export const allowancesSchema = z.looseObject({
  override: z
    .looseObject({ available: z.literal([0, 1]), availableAt: instant.nullable(), remaining: nonNegativeInt })
    .nullable(),
  increase: z.looseObject({ maximumLimit: nonNegativeInt, available: nonNegativeInt }).nullable(),
  exception: z.enum(exceptionKinds),
});

const minutes = z.int().min(0);

export const exceptionSchema = z
  .looseObject({
    kind: z.enum(exceptionKinds),
    organizationName: z.string(),
    ...numbers,
    requester: personSchema,
    product: z.enum(products),
    keyLastFive: z.string().length(5),
    activationsRequested: z.int().min(1),
    businessReason: z.string(),
    requiredDate: date,
    language: z.string(),
    noticesCorrespondent: personSchema.optional(),
    exceptionId: z.string(),
    agreementId: z.string(),
    keyId: z.string(),
    status: z.enum(exceptionStatuses),
    flags: z.array(z.enum(flags)),
    activations: z.int().min(1),
    receivedAt: instant,
    dueAt: instant.nullable(),
    clock: z.looseObject({
      running: z.boolean(),
      remainingMinutes: minutes,
      team: minutes,
      requester: minutes,
      correspondent: minutes,
    }),
    overdue: z.boolean(),
    approval: z
      .looseObject({
        askedAt: instant,
        remindersSent: nonNegativeInt,
        decidedAt: instant.nullable(),
        decision: z.enum(['approve', 'deny']).nullable(),
        comment: z.string().nullable(),
      })
      .nullable(),
    decidedBy: z.string().nullable(),
    closedAt: instant.nullable(),
    reason: z.string().nullable(),
  })
  .refine(hasOneIdentification);
export type Exception = z.infer<typeof exceptionSchema>;

export const draftSchema = z.looseObject({
  kind: z.enum(exceptionKinds),
  organizationName: z.string(),
  ...numbers,
  product: z.enum(products).optional(),
  keyLastFive: z.string().length(5),
  activationsRequested: z.int().min(1),
});

export const remedySchema = z.looseObject({
  kind: z.enum(['call-center-increase', 'override', 'MAKADD', 'KMSADD', 'replacement']),
  available: z.boolean(),
  availableAt: instant.optional(),
  maximum: nonNegativeInt.optional(),
  draft: draftSchema.optional(),
});

export const listOf = <Entry extends z.ZodType>(entry: Entry) =>
  z.strictObject({ items: z.array(entry), nextCursor: z.string().min(1).nullable() });

export const problemSchema = z.looseObject({
  type: z.string().regex(/^[a-z]+:\S+$/),
  title: z.string().min(1),
  // One problem code has a member of this name: the status of the request instead of the HTTP status.
  status: z.union([z.int(), z.enum(exceptionStatuses)]),
  detail: z.string().min(1),
  code: z.string().regex(/^[a-z-]+$/),
});

export const fieldErrorsSchema = problemSchema.extend({
  code: z.literal('invalid-request'),
  errors: z.array(z.strictObject({ pointer: z.string().regex(/^(\/.*)?$/s), message: z.string().min(1) })).min(1),
});

export const mailSchema = z.looseObject({
  to: z.string(),
  from: z.string(),
  subject: z.string(),
  text: z.string().nullable(),
  html: z.string().nullable(),
  at: instant,
});
export type Mail = z.infer<typeof mailSchema>;
export const mailsSchema = z.looseObject({ items: z.array(mailSchema) });

/** Checks the status and the body of a response. Returns the parsed body. */
export function expectStatus<Body extends z.ZodType>(
  response: HttpResponse,
  status: number,
  body: Body,
): z.output<Body> {
  expect(response.status, response.text).toBe(status);
  const parsed = body.safeParse(response.body);
  if (!parsed.success) throw new Error(`${z.prettifyError(parsed.error)}\nin ${response.text}`);
  return parsed.data;
}

/** Checks that a response is a problem as in the contract, with this status and code. Returns the problem. */
export function expectProblem(response: HttpResponse, status: number, code: string): z.output<typeof problemSchema> {
  expect(response.status, response.text).toBe(status);
  expect(response.headers.get('content-type'), response.text).toBe('application/problem+json');
  expect(response.headers.get('x-request-id')).toMatch(/\S/);
  const problem = expectStatus(response, status, problemSchema);
  expect(problem.status).toBe(status);
  expect(problem.code, response.text).toBe(code);
  expect(problem.detail).toMatch(/[.?!]$/);
  return problem;
}
