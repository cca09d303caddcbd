import type { Agreement, Person } from '../domain/agreement.ts';
import type { Instant } from '../domain/calendar/instant.ts';
import { civilDate } from '../domain/calendar/instant.ts';
import type { Context } from '../domain/context.ts';
import type { ExceptionStatus } from '../domain/exception-status.ts';
import { exceptionStatuses } from '../domain/exception-status.ts';
import { fulfillRequest, recordDecision, requestApproval } from '../domain/exceptions/approval.ts';
import type { IntakeContext } from '../domain/exceptions/intake.ts';
import { receiveRequest } from '../domain/exceptions/intake.ts';
import type { ExceptionRequest, RequestForm } from '../domain/exceptions/request.ts';
import {
  answerQuestion,
  askQuestion,
  forwardRequest,
  rejectRequest,
  requestReview,
  withdrawRequest,
} from '../domain/exceptions/review.ts';
import { lapseRequest } from '../domain/exceptions/schedule.ts';
import type { Grant } from '../domain/keys/grant.ts';
import type { InstallationId } from '../domain/keys/installation-id.ts';
import { installationIdFrom } from '../domain/keys/installation-id.ts';
import type { Key, KeyState, KmsHost, KmsKey, Mak, Override, Successor } from '../domain/keys/key.ts';
import type { ProductKey } from '../domain/keys/product-key.ts';
import { generateProductKey, productKeyCharacters } from '../domain/keys/product-key.ts';
import type { Policy } from '../domain/policy.ts';
import { policySchema } from '../domain/policy.ts';
import type { Refusal, Result } from '../domain/refusal.ts';
import { fridayNine, mondayTen } from './instants.ts';
import { readProjectFile } from './project-files.ts';

// One set of test data: the school district of Alder, its people, its two keys, and its requests. Each builder returns
// a complete and valid value, and takes only the members that the test is about.

/** The shipped policy, read from its file. */
export const policy: Policy = policySchema.parse(JSON.parse(readProjectFile('policy.json')));

/** The context of the builders: Monday at 10:00, Inés as the actor, and the shipped policy. */
export function context(members: Partial<Context> = {}): Context {
  return { actor: ines.email, operationId: 'operation-1', now: mondayTen, policy, ...members };
}

export const ines: Person = { name: 'Inés Oliveira', email: 'ines@alder.example', phone: '+1 425 555 0101' };
export const jorge: Person = { name: 'Jorge Ruiz', email: 'jorge@alder.example', phone: '+1 425 555 0102' };
/** The Notices Correspondent. */
export const noor: Person = { name: 'Noor Haddad', email: 'noor@alder.example', phone: '+1 425 555 0103' };
/** A stranger, who is not on any list of the agreement. */
export const mallory: Person = { name: 'Mallory Crane', email: 'mallory@birch.example', phone: '+1 425 555 0199' };
/** A member of the exceptions team. */
export const reviewer = 'tomas.novak@vendor.example';
/** A call center agent. */
export const agent = 'carla.ortiz@vendor.example';

export function anAgreement(members: Partial<Agreement> = {}): Agreement {
  return {
    agreementId: 'E-1001',
    program: 'enterprise',
    level: 'A',
    numbers: { agreementNumber: 'E-1001' },
    organization: { name: 'Alder School District', country: 'US', language: 'en' },
    products: [
      { product: 'windows-vista-business', licenses: 80 },
      { product: 'windows-server-2008-standard', licenses: 10 },
    ],
    contacts: [ines, jorge],
    noticesCorrespondent: noor,
    pendingNoticesCorrespondent: null,
    deputy: null,
    ...members,
  };
}

/** Returns a well-formed installation id for each integer from 0. Different numbers give different ids. */
export function installationId(number: number): InstallationId {
  return installationIdFrom(String(number).padStart(45, '0'));
}

/**
 * Returns a well-formed product key for each integer from 0. Numbers below 24^5 give different last five characters.
 */
export function productKey(number: number): ProductKey {
  const base = productKeyCharacters.length;
  const digits = Array.from({ length: 25 }, (_, position) => Math.floor(number / base ** (24 - position)) % base);
  return generateProductKey(() => digits.shift() ?? 0);
}

export function aGrant(members: Partial<Grant> = {}): Grant {
  return {
    kind: 'initial',
    amount: 100,
    at: mondayTen,
    by: ines.email,
    reference: 'E-1001',
    approvedBy: null,
    ...members,
  };
}

/** Returns a live MAK of the client group, with an initial limit of 100 unless `original` or `grants` sets another. */
export function aMak({ original = 100, ...members }: Partial<Mak> & { original?: number } = {}): Mak {
  return {
    type: 'MAK',
    keyId: 'mak-1',
    agreementId: 'E-1001',
    productGroup: 'client',
    lastFive: 'BCDFG',
    state: { status: 'live' },
    grants: [aGrant({ amount: original })],
    issuedAt: mondayTen,
    replaces: null,
    ...members,
  };
}

/** Returns a live KMS key of the group server-b with the standard number of slots and no hosts. */
export function aKmsKey(members: Partial<KmsKey> = {}): KmsKey {
  return {
    type: 'KMS',
    keyId: 'kms-1',
    agreementId: 'E-1001',
    productGroup: 'server-b',
    lastFive: 'HJKMP',
    state: { status: 'live' },
    grants: [aGrant({ amount: policy.kms.hostPlaces })],
    issuedAt: mondayTen,
    replaces: null,
    hosts: [],
    overrides: [],
    ...members,
  };
}

/** The replacement of a key. */
export const successor: Successor = { keyId: 'key-2', lastFive: 'QRTVW' };

/** The state of a key that is being replaced and is not blocked yet. */
export const blockingState: KeyState = {
  status: 'blocking',
  since: mondayTen,
  by: ines.email,
  reason: 'It leaked.',
  successor,
};

/** Returns the state of a blocked key, with both timestamps, replaced by `successor` unless `replacedBy` is given. */
export function blockedState(replacedBy: Successor | null = successor): KeyState {
  return { status: 'blocked', at: mondayTen, validationAt: mondayTen, replacedBy };
}

/** Returns a KMS host that has a slot and has activated once. */
export function aHost(members: Partial<KmsHost> = {}): KmsHost {
  return {
    installationId: installationId(1),
    machineName: 'kms-host',
    product: 'windows-server-2008-standard',
    slot: 'standard',
    uses: 1,
    overridesSpent: 0,
    firstActivatedAt: mondayTen,
    lastActivatedAt: mondayTen,
    clientsReported: null,
    ...members,
  };
}

/** Returns hosts with a slot each, and the installation ids 1, 2, 3, and so on. */
export function hosts(count: number, members: Partial<KmsHost> = {}): KmsHost[] {
  return Array.from({ length: count }, (_, index) => aHost({ installationId: installationId(index + 1), ...members }));
}

/** Returns an unspent override for the host with installation id 1. */
export function anOverride(members: Partial<Override> = {}): Override {
  return { installationId: installationId(1), at: mondayTen, callReference: 'CALL-1', usedAt: null, ...members };
}

/**
 * Returns a complete MAKADD form from Inés. It is above the call center's headroom, below the review threshold, and has
 * no flags.
 */
export function aRequestForm(members: Partial<RequestForm> = {}): RequestForm {
  return {
    kind: 'MAKADD',
    organizationName: 'Alder School District',
    agreementNumber: 'E-1001',
    requester: ines,
    product: 'windows-vista-business',
    keyLastFive: 'BCDFG',
    activationsRequested: 150,
    businessReason: 'Two new schools open in autumn.',
    requiredDate: civilDate('2027-01-04'),
    language: 'en',
    noticesCorrespondent: null,
    ...members,
  };
}

/** Returns the same for the KMS key: ten more hosts. */
export function aKmsRequestForm(members: Partial<RequestForm> = {}): RequestForm {
  return aRequestForm({
    kind: 'KMSADD',
    product: 'windows-server-2008-standard',
    keyLastFive: 'HJKMP',
    activationsRequested: 10,
    ...members,
  });
}

/** Returns the stored data that a new request is checked against: the agreement, its MAK, and no open request. */
export function intakeContext(members: Partial<IntakeContext> = {}): IntakeContext {
  return { agreement: anAgreement(), keys: [aMak()], openExceptionId: () => undefined, ...members };
}

/** Options of the request builders: members of the form, and the time of all transitions. */
export type StateOptions = { readonly form?: Partial<RequestForm>; readonly at?: Instant };

export function requestReceived({ form = {}, at = mondayTen }: StateOptions = {}): ExceptionRequest {
  const completeForm = form.kind === 'KMSADD' ? aKmsRequestForm(form) : aRequestForm(form);
  const keys: Key[] = [completeForm.kind === 'KMSADD' ? aKmsKey() : aMak()];
  return expectAccepted(
    receiveRequest(
      completeForm,
      intakeContext({ keys }),
      'X-1',
      context({ actor: completeForm.requester.email, now: at }),
    ),
  ).request;
}

export function requestInReview(options: StateOptions = {}): ExceptionRequest {
  return expectAccepted(requestReview(requestReceived(options))).request;
}

export function requestAwaitingRequester(options: StateOptions = {}): ExceptionRequest {
  const before = requestInReview(options);
  return expectAccepted(askQuestion(before, 'Which schools?', context({ actor: reviewer, now: before.receivedAt })))
    .request;
}

export function requestAnswered(options: StateOptions = {}): ExceptionRequest {
  const before = requestAwaitingRequester(options);
  return expectAccepted(answerQuestion(before, 'Elm and Fir.', context({ actor: ines.email, now: before.receivedAt })))
    .request;
}

export function requestAwaitingApproval(options: StateOptions = {}): ExceptionRequest {
  const before = requestReceived(options);
  return expectAccepted(requestApproval(before, context({ now: before.receivedAt }))).request;
}

/** Returns a request that the team forwarded for a smaller number during the first round. */
export function requestInSecondRound(options: StateOptions = {}): ExceptionRequest {
  const before = requestAwaitingApproval(options);
  return expectAccepted(
    forwardRequest(before, before.activations - 1, context({ actor: reviewer, now: before.receivedAt })),
  ).request;
}

/** Returns a request with a recorded approval, whose limit has not been raised yet. */
export function requestApproved(options: StateOptions = {}): ExceptionRequest {
  return requestDecided('approve', options);
}

export function requestDenied(options: StateOptions = {}): ExceptionRequest {
  return requestDecided('deny', options);
}

function requestDecided(decision: 'approve' | 'deny', options: StateOptions): ExceptionRequest {
  const before = requestAwaitingApproval(options);
  const choice = { decision, comment: null } as const;
  return expectAccepted(
    recordDecision(before, before.rounds, choice, context({ actor: noor.email, now: before.receivedAt })),
  ).request;
}

export function requestFulfilled(options: StateOptions = {}): ExceptionRequest {
  const before = requestApproved(options);
  const key = before.form.kind === 'KMSADD' ? aKmsKey() : aMak();
  return expectAccepted(fulfillRequest(before, key, context({ now: before.receivedAt }))).request;
}

export function requestRejected(options: StateOptions = {}): ExceptionRequest {
  const before = requestInReview(options);
  return expectAccepted(rejectRequest(before, 'Too many.', context({ actor: reviewer, now: before.receivedAt })))
    .request;
}

export function requestWithdrawn(options: StateOptions = {}): ExceptionRequest {
  const before = requestReceived(options);
  return expectAccepted(
    withdrawRequest(before, 'No longer needed.', context({ actor: ines.email, now: before.receivedAt })),
  ).request;
}

/** Returns a request that lapsed because the Correspondent did not answer. */
export function requestLapsed({ at = fridayNine, ...options }: StateOptions = {}): ExceptionRequest {
  return expectAccepted(lapseRequest(requestAwaitingApproval(options), context({ now: at }))).request;
}

const builders: Readonly<Record<ExceptionStatus, (options?: StateOptions) => ExceptionRequest>> = {
  received: requestReceived,
  'in-review': requestInReview,
  'awaiting-requester': requestAwaitingRequester,
  'awaiting-approval': requestAwaitingApproval,
  fulfilled: requestFulfilled,
  denied: requestDenied,
  rejected: requestRejected,
  withdrawn: requestWithdrawn,
  lapsed: requestLapsed,
};

/** Returns a request that reached this status by allowed transitions, with the given members replaced. */
export function aRequest({
  status = 'received',
  form,
  at,
  ...members
}: Partial<ExceptionRequest> & { status?: ExceptionStatus; at?: Instant } = {}): ExceptionRequest {
  const options = { ...(form === undefined ? {} : { form }), ...(at === undefined ? {} : { at }) };
  return { ...builders[status](options), ...members };
}

/** One request in each of the nine states. */
export const requestInEachState: readonly ExceptionRequest[] = exceptionStatuses.map((status) => aRequest({ status }));

export function statusOf(request: ExceptionRequest): ExceptionStatus {
  return request.state.status;
}

/** Lists the pending notifications of a request, each as its kind and its recipient. */
export function listNotifications(request: ExceptionRequest): readonly string[] {
  return request.pendingNotifications.map(({ kind, to }) => `${kind} to ${to}`);
}

/** Returns the request without pending notifications. */
export function withEmptyOutbox(request: ExceptionRequest): ExceptionRequest {
  return { ...request, pendingNotifications: [] };
}

/** Returns the request with a waiting workflow execution. */
export function withWaitingExecution(request: ExceptionRequest): ExceptionRequest {
  return { ...request, execution: { status: 'waiting', executionNumber: 1, since: request.receivedAt } };
}

/** Returns the result of a rule that did not refuse. Throws when it refused. */
export function expectAccepted<Outcome extends object>(result: Result<Outcome>): { readonly ok: true } & Outcome {
  if (!result.ok) throw new Error(`refused: ${result.refusal.code}: ${result.refusal.detail}`);
  return result;
}

/** Returns the refusal of a rule. Throws when it did not refuse. */
export function expectRefusal(result: Result<object>): Refusal {
  if (result.ok) throw new Error('not refused');
  return result.refusal;
}
