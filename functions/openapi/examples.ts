import type * as z from 'zod';

type Schema = z.core.JSONSchema.BaseSchema;

const keyId = '6f1d0c6a4be29f35c8a1d27e9b04f7d3';
const installationId = '001016002022003038004044005058006064007070008086009092';

/**
 * The values of the examples in the OpenAPI document: Contoso, its license administrator, its Notices Correspondent, and
 * its MAK, whose limit is almost used up. A key is the name of a field or, if the name is ambiguous, the end of the path to
 * it. A field without a value gets the first value of its schema; an optional one is omitted.
 */
const exampleValues: Readonly<Record<string, unknown>> = {
  // People
  name: 'Ada Lind',
  email: 'ada.lind@contoso.example',
  phone: '+1 425 555 0100',
  'noticesCorrespondent.name': 'Noor Haddad',
  'noticesCorrespondent.email': 'noor.haddad@contoso.example',
  'deputy.person.name': 'Jorge Ruiz',
  'deputy.person.email': 'jorge.ruiz@contoso.example',
  'pendingNoticesCorrespondent.person.name': 'Iris Vogel',
  'pendingNoticesCorrespondent.person.email': 'iris.vogel@contoso.example',
  'to PUT /agreements/{agreementId}/notices-correspondent.name': 'Iris Vogel',
  'to PUT /agreements/{agreementId}/notices-correspondent.email': 'iris.vogel@contoso.example',
  'to PUT /agreements/{agreementId}/deputy.person.name': 'Jorge Ruiz',
  'to PUT /agreements/{agreementId}/deputy.person.email': 'jorge.ruiz@contoso.example',
  'to POST /exceptions.noticesCorrespondent': undefined,
  'Exception.noticesCorrespondent': undefined,
  callerName: 'Ada Lind',
  callReference: 'CALL-2027-03-01-0412',

  // The agreement
  agreementId: 'V4407182',
  'to POST /agreements.agreementId': undefined,
  agreementNumber: 'V4407182',
  program: 'enterprise',
  level: 'A',
  'organization.name': 'Contoso Ltd',
  organizationName: 'Contoso Ltd',
  country: 'US',
  language: 'en',
  product: 'windows-vista-enterprise',
  productGroup: 'client',
  licenses: 40,
  pendingNoticesCorrespondent: null,
  deputy: null,
  effectiveAt: '2027-03-02T17:20:00.000Z',
  from: '2027-03-15',
  to: '2027-03-26',

  // Keys
  keyId,
  productKey: 'BCDFG-HJKMP-QRTVW-XY234-7CQ4H',
  masked: '*****-*****-*****-*****-7CQ4H',
  lastFive: '7CQ4H',
  keyLastFive: '7CQ4H',
  type: 'MAK',
  limit: 50,
  used: 48,
  remaining: 2,
  issuedAt: '2027-01-11T18:05:41.000Z',
  replaces: null,
  replacedBy: null,
  blockedAt: null,
  'blocked.status': 'blocked',
  'blocked.replacedBy': 'd20b7a915ce84e60b3f7c4418a96e2f5',
  'blocked.blockedAt': '2027-03-01T17:20:00.000Z',
  'issued.keyId': 'd20b7a915ce84e60b3f7c4418a96e2f5',
  'issued.masked': '*****-*****-*****-*****-MR2VX',
  'issued.lastFive': 'MR2VX',
  'issued.used': 0,
  'issued.remaining': 50,
  'issued.issuedAt': '2027-03-01T17:20:00.000Z',
  'issued.replaces': keyId,
  'KeyBlockedProblem.replacedBy': 'MR2VX',
  amount: 50,
  at: '2027-01-11T18:05:41.000Z',
  by: 'ada.lind@contoso.example',
  reference: 'V4407182',
  'LedgerEntry.reference': 'V4407182',
  approvedBy: null,
  'from POST /keys/{keyId}/overrides.kind': 'override',
  'from POST /keys/{keyId}/overrides.amount': 1,
  'from POST /keys/{keyId}/overrides.by': 'carla.ortiz@vendor.example',
  'from POST /keys/{keyId}/overrides.reference': 'CALL-2027-03-01-0412',
  'from POST /keys/{keyId}/increases.kind': 'call-center',
  'from POST /keys/{keyId}/increases.by': 'carla.ortiz@vendor.example',
  'from POST /keys/{keyId}/increases.reference': 'CALL-2027-03-01-0412',
  sequence: 1,
  actor: 'ada.lind@contoso.example',
  action: 'key-issued',
  detail: 'A MAK key for client was issued, ending in 7CQ4H, with a limit of 50.',
  hash: '9c56cc51b374c3ba189210d5b6d4bf57790d351c96c47c02190ecf1e430635ab',
  newLimit: 100,
  'Allowances.override': null,
  maximumLimit: 100,
  'increase.available': 50,
  perDay: 1.6,
  runsOutOn: '2027-03-02',
  askBy: '2027-02-22',
  inWords: 'At the pace of the last four weeks, the key runs out on 2 March. Ask for more now.',

  // Activations
  installationId,
  machineName: 'CONTOSO-PC-049',
  activationId: '41d8c39e07b5fa2260bd9917ce85a3f4',
  confirmationId: '102301155424068874133405926014970343655092228833',
  activatedAt: '2027-03-01T17:20:00.000Z',
  'Activation.uses': undefined,
  'Activation.advisory': undefined,
  'results.status': 201,
  'results.problem': undefined,
  clients: 240,
  genuine: true,
  'Validation.reason': null,
  graceEndsAt: null,
  groups: [4],

  // The request
  exceptionId: 'EX-7KQ2-MW4R-H8TD',
  activationsRequested: 150,
  'Exception.activations': 150,
  'exception.activations': 150,
  'to POST /exceptions/{exceptionId}/review.activations': 120,
  businessReason: 'Two hundred computers are reinstalled for the move to the new office in April.',
  requiredDate: '2027-03-31',
  'Exception.status': 'awaiting-approval',
  flags: [],
  receivedAt: '2027-03-01T17:20:00.000Z',
  dueAt: '2027-03-09T01:00:00.000Z',
  running: true,
  remainingMinutes: 2_700,
  'clock.team': 20,
  'clock.requester': 0,
  'clock.correspondent': 160,
  overdue: false,
  question: null,
  askedAt: '2027-03-01T17:40:00.000Z',
  remindersSent: 0,
  undeliverableAt: null,
  decidedAt: null,
  'approval.decision': null,
  comment: null,
  decidedBy: null,
  closedAt: null,
  'Exception.reason': null,
  expiresAt: '2027-03-16T00:00:00.000Z',
  text: 'Which computers are these, and when do they move?',
  'to POST /exceptions/{exceptionId}/answers.text': 'Those of the two floors in Bellevue; the first week of April.',
  reason: 'The number was a mistake.',
  'to POST /keys/{keyId}/replacements.reason': 'The key was posted on a public page.',
  'to POST /keys/{keyId}/replacements.callReference': undefined,
  code: '482913',
  'to POST /approvals/{token}.comment': 'Agreed with the office in Bellevue.',
  'ApprovalDecision.decision': 'approve',
  'ApprovalDecision.decidedAt': '2027-03-01T20:20:00.000Z',
  'CodeExpiry.expiresAt': '2027-03-01T20:30:00.000Z',
  token: 'tP0Yq3cV9mJrX2bW7nKdL5sHfG8aZ1eQ4uTiRyOxCvA',

  // Refusals
  'NotInThatStateProblem.status': 'fulfilled',
  'NotInThatStateProblem.allowed': [],
  'ActivationLimitReachedProblem.used': 50,
  'LimitNotRaisedProblem.limit': 100,
  availableAt: '2027-03-02T08:00:00.000Z',
  'override.availableAt': null,
  'Remedy.availableAt': undefined,
  'Remedy.draft': undefined,
  available: true,
  maximum: 50,
  covers: ['windows-vista-business', 'windows-vista-enterprise'],
  'AlreadyDecidedProblem.decidedAt': '2027-03-01T20:20:00.000Z',
  triesLeft: 4,
  pointer: '/requester/email',
  message: 'must be an email address',

  // A plan
  'sites.name': 'Bellevue',
  client: 200,
  'server-a': 0,
  'server-b': 6,
  'server-c': 0,
  'parts.machines': 200,
  'parts.keyType': 'KMS',
  kmsHosts: 1,
  reasons: ['200 clients reach the KMS threshold of 25: use one KMS host for them at this site.'],
  advice: 'kms',
  summary:
    'We recommend KMS at sites that are large enough, and MAKs everywhere else. You need 1 KMS host and 0 MAK activations.',
  'KeyPlan.type': 'KMS',
  'KeyPlan.productGroup': 'server-b',
  needed: 1,
  startsWith: 6,
  beyond: null,

  // Lists and the service
  'Query.status': 'open',
  nextCursor: null,
  version: '1.0.0',
  openapi: '3.1.1',
};

/** Returns the value for a path: the longest key that matches decides. Component names are not part of a key. */
function findExampleValue(path: readonly string[]): { readonly value: unknown } | undefined {
  for (const [start, first] of path.entries()) {
    const fields = path.slice(start + 1).filter((each) => !isComponent(each));
    const name = [first, ...fields].join('.');
    if (Object.hasOwn(exampleValues, name)) return { value: exampleValues[name] };
  }
  return undefined;
}

/** Returns whether a name is a component: components start with an uppercase letter, fields do not. */
function isComponent(name: string): boolean {
  return /^[A-Z]/.test(name);
}

/**
 * Returns an example for a schema. `path` has `to` or `from` with the route, then the names of the fields and components.
 */
export function exampleOf(
  schema: Schema,
  components: Readonly<Record<string, Schema>>,
  path: readonly string[],
): unknown {
  if (schema.const !== undefined) return schema.const;
  const exampleValue = findExampleValue(path);
  if (exampleValue !== undefined) return exampleValue.value;
  const { $ref } = schema;
  if ($ref !== undefined) {
    const name = $ref.slice($ref.lastIndexOf('/') + 1);
    return exampleOf(components[name] ?? {}, components, [...path, name]);
  }
  if (schema.enum !== undefined) return schema.enum[0];
  const [first] = schema.oneOf ?? schema.anyOf ?? [];
  if (schema.properties === undefined && first !== undefined) return exampleOf(first, components, path);
  if (schema.properties !== undefined) return exampleObjectOf(schema, components, path);
  if (schema.type === 'array') {
    const { items } = schema;
    return typeof items === 'object' && !Array.isArray(items) ? [exampleOf(items, components, path)] : [];
  }
  if (schema.type === 'integer' || schema.type === 'number') return schema.minimum ?? 0;
  if (schema.type === 'boolean') return false;
  if (schema.type === 'string') return 'text';
  return null;
}

function exampleObjectOf(
  schema: Schema,
  components: Readonly<Record<string, Schema>>,
  path: readonly string[],
): Readonly<Record<string, unknown>> {
  const fields = Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const at = [...path, name];
    const exampleValue = findExampleValue(at);
    const isOmitted = exampleValue === undefined ? !schema.required?.includes(name) : exampleValue.value === undefined;
    return isOmitted || typeof member !== 'object' ? [] : [[name, exampleOf(member, components, at)] as const];
  });
  return Object.fromEntries(fields);
}
