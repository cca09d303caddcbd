import * as z from 'zod';
import { levels, productGroups, products, programs } from '../../domain/catalog.ts';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { flags } from '../../domain/exceptions/request.ts';
import { productKeyCharacters } from '../../domain/keys/product-key.ts';
import { exceptionKinds } from '../../domain/remedy.ts';
import { personSchema } from './request-schemas.ts';

/*
 * What callers get: the bodies of the answers, as strict as the truth. They are never looked at while a request is
 * answered; the published description is made of them, and the views and the tests are held against them.
 */

// ---- Words that all answers are made of

const count = z.int().min(0);
const atLeastOne = z.int().min(1);
/** An instant, always written in one form: to the millisecond, in UTC. */
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
  .describe('Names a key in addresses. It tells nothing of the product key.');
export const exceptionId = z
  .string()
  .regex(/^EX(-[2-9BCDFGHJKMPQRTVWXY]{4}){3}$/)
  .describe('Names a request, in addresses and on the phone.');
export const installationId = z
  .string()
  .regex(/^\d{54}$/)
  .describe('54 digits: nine groups of five and a check digit.');
const machineName = z
  .string()
  .min(1)
  .max(63)
  .nullable()
  .describe('How the machine calls itself; null if it did not say.');
export const lastFive = z.string().regex(new RegExp(`^[${productKeyCharacters}]{5}$`));

/** A list that is not to be written to. */
const readonlyList = <Each extends z.ZodType>(each: Each) => z.array(each).readonly();

/** One page of a list. */
export const pageOf = <Each extends z.ZodType>(each: Each) =>
  z.strictObject({
    items: readonlyList(each),
    nextCursor: z.string().min(1).nullable().describe('Asks for the next page as `cursor`; null on the last.'),
  });

/** How an agreement is named: by its number, or by authorization and license number together. */
const numbers = {
  agreementNumber: z.string().min(1).optional(),
  authorizationNumber: z.string().min(1).optional(),
  licenseNumber: z.string().min(1).optional(),
};

export const person = z
  .strictObject(personSchema().shape)
  .meta({ id: 'Person', description: 'Somebody whom the agreement or the request names.' });

// ---- Agreements

const agreementMembers = {
  agreementId,
  program: z.enum(programs),
  level: z.enum(levels).nullable().describe('The price level; null where the program has none.'),
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
  contacts: readonlyList(person).describe('The Authorized Contact List: who may ask.'),
  noticesCorrespondent: person.describe('Who confirms changes.'),
  pendingNoticesCorrespondent: z
    .strictObject({ person, effectiveAt: instant })
    .nullable()
    .describe('Who will be the Notices Correspondent when the waiting period is over.'),
  deputy: z
    .strictObject({ person, from: date, to: date })
    .nullable()
    .describe('Who is asked as well between two days, both included.'),
};

export const agreement = z.strictObject(agreementMembers).meta({
  id: 'Agreement',
  description: 'A volume license agreement, the people whom it names and what it covers.',
});

// ---- Keys

const keyMembers = {
  keyId,
  productGroup: z.enum(productGroups),
  agreementId,
  masked: z
    .string()
    .regex(new RegExp(`^(\\*{5}-){4}[${productKeyCharacters}]{5}$`))
    .describe('The product key with all but its last five covered.'),
  lastFive,
  status: z.enum(['live', 'blocked']),
  limit: count.describe('The sum of its grants: activations of a MAK, host places of a KMS key.'),
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
    uses: atLeastOne.describe('Activations so far.'),
    usesRemaining: count,
    overrides: z.strictObject({ granted: count, spent: count }),
    firstActivatedAt: instant,
    lastActivatedAt: instant,
    clientsReported: count.nullable().describe('How many machines it last said that it serves. Shown, never counted.'),
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
  .meta({ id: 'KmsKey', description: 'A key that activates KMS hosts. Its limit counts host places.' });

export const key = z.discriminatedUnion('type', [mak, kmsKey]).meta({ id: 'Key' });

export const registeredAgreement = z
  .strictObject({ ...agreementMembers, keys: readonlyList(key).describe('The keys that were issued with it.') })
  .meta({ id: 'RegisteredAgreement' });

export const revealedKey = z.strictObject({
  productKey: z
    .string()
    .regex(new RegExp(`^([${productKeyCharacters}]{5}-){4}[${productKeyCharacters}]{5}$`))
    .describe('The whole key. Keep it as you keep a password.'),
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
    reference: z.string().min(1).describe('The agreement, call or request under which it was given.'),
    approvedBy: z.string().min(1).nullable(),
  })
  .meta({ id: 'Grant', description: 'Something that made a limit what it is.' });

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
      .describe('SHA-256 over this entry and the hash before it.'),
  })
  .meta({ id: 'Entry', description: 'One line of a history.' });

export const allowances = z
  .strictObject({
    override: z
      .strictObject({
        available: z.literal([0, 1]),
        availableAt: instant
          .nullable()
          .describe('When the next can be given; null when one can be given now, or none ever.'),
        remaining: count,
      })
      .nullable(),
    increase: z
      .strictObject({ maximumLimit: atLeastOne, available: count.describe('How many more a phone call can add.') })
      .nullable(),
    exception: z.enum(exceptionKinds).describe('The request that asks for more than a phone call can give.'),
  })
  .meta({ id: 'Allowances', description: '`override` is for KMS keys, `increase` for MAKs; the other one is null.' });

export const keyReplacement = z
  .strictObject({ blocked: key, issued: key })
  .meta({ id: 'Replaced', description: 'The key that was blocked, and the one that took its place.' });

export const forecast = z
  .strictObject({
    perDay: z.number().min(0).nullable().describe('Activations a day, at the pace of the last weeks.'),
    runsOutOn: date.nullable(),
    askBy: date.nullable().describe('The last day on which more can safely be asked for.'),
    inWords: z.string().min(1).nullable().describe('The same in a sentence.'),
  })
  .meta({ id: 'Forecast', description: 'All null while the history is too short to say anything.' });

// ---- Plans

const sitePlan = z
  .strictObject({
    name: z.string().min(1),
    parts: readonlyList(
      z.strictObject({ productGroup: z.enum(productGroups), machines: atLeastOne, keyType: z.enum(['MAK', 'KMS']) }),
    ).describe('How the machines of each group are best activated.'),
    kmsHosts: count,
    reasons: readonlyList(z.string().min(1)),
  })
  .meta({ id: 'SitePlan' });

const keyPlan = z
  .strictObject({
    type: z.enum(['MAK', 'KMS']),
    productGroup: z.enum(productGroups),
    needed: atLeastOne.describe('Host places of a KMS key, activations of a MAK.'),
    startsWith: atLeastOne,
    beyond: z
      .strictObject({
        amount: atLeastOne,
        ask: z.enum(['call-center', ...exceptionKinds]),
        how: z.string().min(1),
      })
      .nullable()
      .describe('What must be asked for beyond what the key starts with.'),
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
  .meta({ id: 'Plan', description: 'Which keys to use where, and what that takes.' });

// ---- Activation

export const activation = z
  .strictObject({
    activationId: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .describe('Always the same for the same key and installation.'),
    confirmationId: z
      .string()
      .regex(/^\d{48}$/)
      .describe('48 digits: eight groups of five and a check digit. What the machine is to be told.'),
    keyType: z.enum(['MAK', 'KMS']),
    activatedAt: instant,
    uses: atLeastOne.optional().describe('How often this KMS host has activated.'),
    advisory: z
      .literal('kms-key-on-clients')
      .optional()
      .describe('So many hosts are new that the key has probably been typed on clients. It belongs on KMS hosts only.'),
  })
  .meta({ id: 'Activation' });

export const validation = z
  .strictObject({
    genuine: z.boolean(),
    reason: z
      .enum(['unknown-key', 'key-blocked', 'never-activated'])
      .nullable()
      .describe('Why it is not; null when it is.'),
    graceEndsAt: instant.nullable().describe('Until when installations of a blocked key stay genuine.'),
  })
  .meta({ id: 'Validation' });

// ---- Exception requests

/** A request begun for somebody, as a refusal carries it. */
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
    description: 'An exception request, begun. Complete it and send it to `POST /exceptions`.',
  });

/** A way out of a refusal. */
export const remedy = z
  .strictObject({
    kind: z.enum(['call-center-increase', 'override', ...exceptionKinds, 'replacement']),
    available: z.boolean().describe('Whether this way is open now.'),
    availableAt: instant.optional(),
    maximum: count.optional().describe('How many more it could give.'),
    draft: exceptionDraft.optional(),
  })
  .meta({ id: 'Remedy', description: 'A way to more activations.' });

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
      .describe('Whom the request named. Who is asked is always the agreement’s own.'),
    exceptionId,
    agreementId,
    keyId,
    status: z.enum(exceptionStatuses),
    flags: readonlyList(z.enum(flags)).describe('Why the exceptions team looks at it first.'),
    activations: atLeastOne.describe('What would be granted: as requested, unless a smaller number was forwarded.'),
    receivedAt: instant,
    dueAt: instant.nullable().describe('When the answer is due; null while the clock stands.'),
    clock: z
      .strictObject({
        running: z.boolean(),
        remainingMinutes: minutes,
        team: minutes,
        requester: minutes,
        correspondent: minutes,
      })
      .describe('What is left of the time to answer, and how long each party has had the request.'),
    overdue: z.boolean(),
    question: z
      .strictObject({ text: z.string().min(1), askedAt: instant })
      .nullable()
      .describe('What the exceptions team wants to know, while it waits for the answer.'),
    approval: z
      .strictObject({
        askedAt: instant,
        remindersSent: count,
        undeliverableAt: instant
          .nullable()
          .describe(
            'Since when the mail that asks is known not to have got there; a change of the agreement asks anew.',
          ),
        decidedAt: instant.nullable(),
        decision: z.enum(['approve', 'deny']).nullable(),
        comment: z.string().nullable(),
      })
      .nullable()
      .describe('How it stands with the Notices Correspondent; null before anybody was asked.'),
    decidedBy: z.string().min(1).nullable(),
    closedAt: instant.nullable(),
    reason: z.string().nullable().describe('Why it ended as it did.'),
  })
  .meta({ id: 'Exception', description: 'A request for more activations than the call centre can give.' });

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
  .meta({ id: 'ApprovalAsked', description: 'What the Notices Correspondent is asked to approve.' });

export const approvalDecision = z
  .strictObject({ decision: z.enum(['approve', 'deny']), decidedAt: instant })
  .meta({ id: 'ApprovalDecided' });

/** Strict mode: until when the code that was mailed is good. */
export const codeExpiry = z.strictObject({ expiresAt: instant }).meta({ id: 'CodeSent' });

export const disputeResult = z
  .strictObject({ exceptionId, frozen: z.boolean().describe('Whether the request could still be stopped.') })
  .meta({ id: 'Disputed' });

// ---- Service

export const health = z.strictObject({ status: z.literal('ok'), version: z.string().min(1) });
export const openApi = z.looseObject({ openapi: z.string().regex(/^3\.1\./) });

// ---- As the views make them

export type AgreementResponse = z.input<typeof agreement>;
export type KeyResponse = z.input<typeof key>;
export type LedgerEntryResponse = z.input<typeof ledgerEntry>;
export type ExceptionResponse = z.input<typeof exception>;
