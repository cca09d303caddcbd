import * as z from 'zod';
import { levels, productGroups, products, programs } from '../../domain/catalog.ts';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { flags } from '../../domain/exceptions/request.ts';
import { productKeyCharacters } from '../../domain/keys/product-key.ts';
import { exceptionKinds } from '../../domain/remedy.ts';
import { personSchema } from './request-schemas.ts';

/*
 * The schemas of response bodies, as strict as the responses are. They are not used at run time: the OpenAPI document is
 * generated from them, and tests compare the views and the responses with them.
 */

// ---- Shared by all responses

const count = z.int().min(0);
const atLeastOne = z.int().min(1);
/** An instant in UTC, with milliseconds. */
export const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  .meta({ format: 'date-time' });
export const date = z
  .string()
  .regex(/^\d{4}-\d\d-\d\d$/)
  .meta({ format: 'date' });
const minutes = count.describe('Business minutes.');

const agreementId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$/)
  .describe('The agreement number; for Open, `<authorizationNumber>-<licenseNumber>`.');
export const keyId = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .describe('The ID of the key. It reveals nothing about the product key.');
export const exceptionId = z
  .string()
  .regex(/^EX(-[2-9BCDFGHJKMPQRTVWXY]{4}){3}$/)
  .describe('The ID of the request.');
export const installationId = z
  .string()
  .regex(/^\d{54}$/)
  .describe('54 digits: nine groups of five digits and a check digit.');
const machineName = z.string().min(1).max(63).nullable().describe('The name of the machine, or null if it sent none.');
export const lastFive = z.string().regex(new RegExp(`^[${productKeyCharacters}]{5}$`));

/** A read-only list. */
const readonlyList = <Each extends z.ZodType>(each: Each) => z.array(each).readonly();

/** One page of a list. */
export const pageOf = <Each extends z.ZodType>(each: Each) =>
  z.strictObject({
    items: readonlyList(each),
    nextCursor: z.string().min(1).nullable().describe('The `cursor` of the next page, or null on the last page.'),
  });

/** The numbers of an agreement: one agreement number, or authorization and license number together. */
const numbers = {
  agreementNumber: z.string().min(1).optional(),
  authorizationNumber: z.string().min(1).optional(),
  licenseNumber: z.string().min(1).optional(),
};

export const person = z
  .strictObject(personSchema().shape)
  .meta({ id: 'Person', description: 'A person in an agreement or a request.' });

// ---- Agreements

const agreementMembers = {
  agreementId,
  program: z.enum(programs),
  level: z.enum(levels).nullable().describe('The price level, or null if the program has none.'),
  ...numbers,
  organization: z.strictObject({
    name: z.string().min(1),
    country: z
      .string()
      .regex(/^[A-Z]{2}$/)
      .describe('ISO 3166-1.'),
    language: z.string().min(2).describe('BCP 47.'),
  }),
  products: readonlyList(z.strictObject({ product: z.enum(products), licenses: atLeastOne })),
  contacts: readonlyList(person).describe('The Authorized Contact List.'),
  noticesCorrespondent: person.describe('The Notices Correspondent, who confirms changes.'),
  pendingNoticesCorrespondent: z
    .strictObject({ person, effectiveAt: instant })
    .nullable()
    .describe('The next Notices Correspondent, until the waiting period is over.'),
  deputy: z
    .strictObject({ person, from: date, to: date })
    .nullable()
    .describe('The deputy of the Notices Correspondent, from the first day to the last.'),
};

export const agreement = z.strictObject(agreementMembers).meta({
  id: 'Agreement',
  description: 'A volume license agreement with its people and products.',
});

// ---- Keys

const keyMembers = {
  keyId,
  productGroup: z.enum(productGroups),
  agreementId,
  masked: z
    .string()
    .regex(new RegExp(`^(\\*{5}-){4}[${productKeyCharacters}]{5}$`))
    .describe('The product key with all but the last five characters masked.'),
  lastFive,
  status: z.enum(['live', 'blocked']),
  limit: count.describe('The sum of the grants: activations (MAK) or host slots (KMS).'),
  used: count,
  remaining: count,
  issuedAt: instant,
  replaces: keyId.nullable(),
  replacedBy: keyId.nullable(),
  blockedAt: instant.nullable(),
};

export const mak = z
  .strictObject({ ...keyMembers, type: z.literal('MAK') })
  .meta({ id: 'Mak', description: 'A multiple activation key. Its limit counts activations.' });

const kmsHost = z
  .strictObject({
    installationId,
    machineName,
    uses: atLeastOne.describe('The number of activations.'),
    usesRemaining: count,
    overrides: z.strictObject({ granted: count, spent: count }),
    firstActivatedAt: instant,
    lastActivatedAt: instant,
    clientsReported: count
      .nullable()
      .describe('The number of machines that the host last reported. It is shown, and never limited.'),
  })
  .meta({ id: 'KmsHost' });

export const kmsKey = z
  .strictObject({
    ...keyMembers,
    type: z.literal('KMS'),
    usesPerHost: atLeastOne,
    overrides: z.strictObject({ granted: count, remaining: count }),
    hosts: readonlyList(kmsHost),
  })
  .meta({ id: 'KmsKey', description: 'A key that activates KMS hosts. Its limit counts host slots.' });

export const key = z.discriminatedUnion('type', [mak, kmsKey]).meta({ id: 'Key' });

export const registeredAgreement = z
  .strictObject({ ...agreementMembers, keys: readonlyList(key).describe('The keys issued with the agreement.') })
  .meta({ id: 'RegisteredAgreement' });

export const revealedKey = z.strictObject({
  productKey: z
    .string()
    .regex(new RegExp(`^([${productKeyCharacters}]{5}-){4}[${productKeyCharacters}]{5}$`))
    .describe('The product key. Protect it like a password.'),
});

export const activatedMachine = z
  .strictObject({ installationId, machineName, product: z.enum(products), activatedAt: instant })
  .meta({ id: 'ActivatedMachine' });

export const grant = z
  .strictObject({
    kind: z.enum(['initial', 'override', 'call-center', 'exception']),
    amount: atLeastOne,
    at: instant,
    by: z.string().min(1),
    reference: z.string().min(1).describe('The agreement, call, or request behind the grant.'),
    approvedBy: z.string().min(1).nullable(),
  })
  .meta({ id: 'Grant', description: 'A change of a limit.' });

export const ledgerEntry = z
  .strictObject({
    sequence: atLeastOne,
    at: instant,
    actor: z.string().min(1),
    action: z.string().regex(/^[a-z]+(-[a-z]+)*$/),
    detail: z.string().min(1),
    reference: z.string().min(1).nullable(),
    hash: z
      .string()
      .regex(/^[0-9a-f]{64}$/)
      .describe('SHA-256 of this entry and the previous hash.'),
  })
  .meta({ id: 'LedgerEntry', description: 'An entry of a history.' });

export const allowances = z
  .strictObject({
    override: z
      .strictObject({
        available: z.literal([0, 1]),
        availableAt: instant
          .nullable()
          .describe('The time of the next override, or null if one is available now or never.'),
        remaining: count,
      })
      .nullable(),
    increase: z
      .strictObject({ maximumLimit: atLeastOne, available: count.describe('The number that a call can add now.') })
      .nullable(),
    exception: z.enum(exceptionKinds).describe('The kind of exception request for more.'),
  })
  .meta({
    id: 'Allowances',
    description: '`override` is for KMS keys and `increase` for MAKs; the other one is null.',
  });

export const keyReplacement = z
  .strictObject({ blocked: key, issued: key })
  .meta({ id: 'KeyReplacement', description: 'The blocked key and its replacement.' });

export const forecast = z
  .strictObject({
    perDay: z.number().min(0).nullable().describe('Activations per day in the last weeks.'),
    runsOutOn: date.nullable(),
    askBy: date.nullable().describe('The last safe day to request more.'),
    inWords: z.string().min(1).nullable().describe('The forecast in one sentence.'),
  })
  .meta({ id: 'Forecast', description: 'All members are null if the history is too short.' });

// ---- Plans

const sitePlan = z
  .strictObject({
    name: z.string().min(1),
    parts: readonlyList(
      z.strictObject({ productGroup: z.enum(productGroups), machines: atLeastOne, keyType: z.enum(['MAK', 'KMS']) }),
    ).describe('The method for the machines of each group.'),
    kmsHosts: count,
    reasons: readonlyList(z.string().min(1)),
  })
  .meta({ id: 'SitePlan' });

const keyPlan = z
  .strictObject({
    type: z.enum(['MAK', 'KMS']),
    productGroup: z.enum(productGroups),
    needed: atLeastOne.describe('Host slots (KMS) or activations (MAK).'),
    startsWith: atLeastOne,
    beyond: z
      .strictObject({
        amount: atLeastOne,
        ask: z.enum(['call-center', ...exceptionKinds]),
        how: z.string().min(1),
      })
      .nullable()
      .describe('The number to request beyond the initial limit.'),
  })
  .meta({ id: 'KeyPlan' });

export const plan = z
  .strictObject({
    program: z.enum(programs),
    advice: z.enum(['mix', 'kms', 'mak']),
    summary: z.string().min(1),
    sites: readonlyList(sitePlan),
    keys: readonlyList(keyPlan),
  })
  .meta({ id: 'Plan', description: 'The keys to use at each site, and the numbers required.' });

// ---- Activation

export const activation = z
  .strictObject({
    activationId: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .describe('The same for the same key and installation.'),
    confirmationId: z
      .string()
      .regex(/^\d{48}$/)
      .describe('48 digits: eight groups of five digits and a check digit. Enter it on the machine.'),
    keyType: z.enum(['MAK', 'KMS']),
    activatedAt: instant,
    uses: atLeastOne.optional().describe('The number of uses of this KMS host.'),
    advisory: z
      .literal('kms-key-on-clients')
      .optional()
      .describe('Many hosts are new, so the KMS key is probably used on clients. It is for KMS hosts only.'),
  })
  .meta({ id: 'Activation' });

export const validation = z
  .strictObject({
    genuine: z.boolean(),
    reason: z
      .enum(['unknown-key', 'key-blocked', 'never-activated'])
      .nullable()
      .describe('The reason, or null if the installation is genuine.'),
    graceEndsAt: instant
      .nullable()
      .describe('The end of the grace period, during which installations of a blocked key stay genuine.'),
  })
  .meta({ id: 'Validation' });

// ---- Exception requests

/** A pre-filled request in a refusal. */
export const exceptionDraft = z
  .strictObject({
    kind: z.enum(exceptionKinds),
    organizationName: z.string().min(1),
    ...numbers,
    product: z.enum(products).optional(),
    keyLastFive: lastFive,
    activationsRequested: atLeastOne,
  })
  .meta({
    id: 'ExceptionDraft',
    description: 'A pre-filled exception request. Complete it, and send it to `POST /exceptions`.',
  });

/** A remedy in a refusal. */
export const remedy = z
  .strictObject({
    kind: z.enum(['call-center-increase', 'override', ...exceptionKinds, 'replacement']),
    available: z.boolean().describe('Whether the remedy is available now.'),
    availableAt: instant.optional(),
    maximum: count.optional().describe('The maximum number that it can add.'),
    draft: exceptionDraft.optional(),
  })
  .meta({ id: 'Remedy', description: 'A way to get more activations.' });

export const exception = z
  .strictObject({
    kind: z.enum(exceptionKinds),
    organizationName: z.string().min(1),
    ...numbers,
    requester: person,
    product: z.enum(products),
    keyLastFive: lastFive,
    activationsRequested: atLeastOne,
    businessReason: z.string().min(1),
    requiredDate: date,
    language: z.string().min(2),
    noticesCorrespondent: person
      .optional()
      .describe('The Correspondent that the request named. The approval goes to the one in the agreement.'),
    exceptionId,
    agreementId,
    keyId,
    status: z.enum(exceptionStatuses),
    flags: readonlyList(z.enum(flags)).describe('The reasons for a review by the exceptions team.'),
    activations: atLeastOne.describe('The number to grant: as requested, or the smaller number that was forwarded.'),
    receivedAt: instant,
    dueAt: instant.nullable().describe('The due time of the answer, or null while it is paused.'),
    clock: z
      .strictObject({
        running: z.boolean(),
        remainingMinutes: minutes,
        team: minutes,
        requester: minutes,
        correspondent: minutes,
      })
      .describe('The remaining time, and the elapsed time of each party.'),
    overdue: z.boolean(),
    question: z
      .strictObject({ text: z.string().min(1), askedAt: instant })
      .nullable()
      .describe('The open question of the exceptions team.'),
    approval: z
      .strictObject({
        askedAt: instant,
        remindersSent: count,
        undeliverableAt: instant
          .nullable()
          .describe(
            'Since when we know that the approval email was not delivered. A change of the agreement sends it again.',
          ),
        decidedAt: instant.nullable(),
        decision: z.enum(['approve', 'deny']).nullable(),
        comment: z.string().nullable(),
      })
      .nullable()
      .describe('The state of the approval, or null before the Notices Correspondent is asked.'),
    decidedBy: z.string().min(1).nullable(),
    closedAt: instant.nullable(),
    reason: z.string().nullable().describe('The reason for the outcome.'),
  })
  .meta({ id: 'Exception', description: 'A request for more than the call center can grant.' });

// ---- Approval link

export const approvalRequest = z
  .strictObject({
    exception: z.strictObject({
      exceptionId,
      kind: z.enum(exceptionKinds),
      organizationName: z.string().min(1),
      requester: person,
      product: z.enum(products),
      keyLastFive: lastFive,
      activations: atLeastOne,
      businessReason: z.string().min(1),
      requiredDate: date,
    }),
    expiresAt: instant,
  })
  .meta({ id: 'ApprovalRequest', description: 'The request that the Notices Correspondent is asked to approve.' });

export const approvalDecision = z
  .strictObject({ decision: z.enum(['approve', 'deny']), decidedAt: instant })
  .meta({ id: 'ApprovalDecision' });

/** The expiry of a code in strict mode. */
export const codeExpiry = z.strictObject({ expiresAt: instant }).meta({ id: 'CodeExpiry' });

export const disputeResult = z
  .strictObject({ exceptionId, frozen: z.boolean().describe('Whether the request could still be stopped.') })
  .meta({ id: 'DisputeResult' });

// ---- Service

export const health = z.strictObject({ status: z.literal('ok'), version: z.string().min(1) });
export const openApi = z.looseObject({ openapi: z.string().regex(/^3\.1\./) });

// ---- Types of the views

export type AgreementResponse = z.input<typeof agreement>;
export type KeyResponse = z.input<typeof key>;
export type LedgerEntryResponse = z.input<typeof ledgerEntry>;
export type ExceptionResponse = z.input<typeof exception>;
