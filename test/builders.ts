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

// One small world, told in one place: the school district of Alder, its people, its two keys and its requests. Each
// builder gives a whole and valid thing, and takes only what the test is about.

/** The policy that is shipped, read from its file. */
export const policy: Policy = policySchema.parse(JSON.parse(readProjectFile('policy.json')));

/** Under which the builders act: at 10:00 on the Monday, in the name of Inés, by the policy that is shipped. */
export function context(facts: Partial<Context> = {}): Context {
  return { actor: ines.email, operationId: 'operation-1', now: mondayTen, policy, ...facts };
}

// ---- People

export const ines: Person = { name: 'Inés Oliveira', email: 'ines@alder.example', phone: '+1 425 555 0101' };
export const jorge: Person = { name: 'Jorge Ruiz', email: 'jorge@alder.example', phone: '+1 425 555 0102' };
/** The Notices Correspondent. */
export const noor: Person = { name: 'Noor Haddad', email: 'noor@alder.example', phone: '+1 425 555 0103' };
/** On no list of the agreement. */
export const mallory: Person = { name: 'Mallory Crane', email: 'mallory@birch.example', phone: '+1 425 555 0199' };
/** Of the exceptions team. */
export const reviewer = 'tomas.novak@vendor.example';
/** Of the call centre. */
export const agent = 'carla.ortiz@vendor.example';

// ---- Agreements

export function anAgreement(facts: Partial<Agreement> = {}): Agreement {
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
    ...facts,
  };
}

// ---- Keys

/** A well-formed installation id for each whole number from 0 on; different numbers give different ids. */
export function installationId(number: number): InstallationId {
  return installationIdFrom(String(number).padStart(45, '0'));
}

/** A well-formed product key for each whole number from 0 on; those of numbers below 24 to the fifth end differently. */
export function productKey(number: number): ProductKey {
  const base = productKeyCharacters.length;
  const places = Array.from({ length: 25 }, (_, place) => Math.floor(number / base ** (24 - place)) % base);
  return generateProductKey(() => places.shift() ?? 0);
}

export function aGrant(facts: Partial<Grant> = {}): Grant {
  return {
    kind: 'initial',
    amount: 100,
    at: mondayTen,
    by: ines.email,
    reference: 'E-1001',
    approvedBy: null,
    ...facts,
  };
}

/** A live MAK of the client group, issued with 100 activations unless `original` or `grants` says otherwise. */
export function aMak({ original = 100, ...facts }: Partial<Mak> & { original?: number } = {}): Mak {
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
    ...facts,
  };
}

/** A live KMS key of the group server-b with the standard places, on which no host has activated. */
export function aKmsKey(facts: Partial<KmsKey> = {}): KmsKey {
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
    ...facts,
  };
}

/** The key that took the place of another. */
export const successor: Successor = { keyId: 'key-2', lastFive: 'QRTVW' };

/** A key that is being replaced: held, and not blocked yet. */
export const blockingState: KeyState = {
  status: 'blocking',
  since: mondayTen,
  by: ines.email,
  reason: 'It leaked.',
  successor,
};

/** A key that is blocked, with both marks, and replaced by `successor` unless `replacedBy` says otherwise. */
export function blockedState(replacedBy: Successor | null = successor): KeyState {
  return { status: 'blocked', at: mondayTen, validationAt: mondayTen, replacedBy };
}

/** A KMS host that has a place and has activated once. */
export function aHost(facts: Partial<KmsHost> = {}): KmsHost {
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
    ...facts,
  };
}

/** So many hosts with a place each; they have the installation ids 1, 2, 3 and so on. */
export function hosts(count: number, facts: Partial<KmsHost> = {}): KmsHost[] {
  return Array.from({ length: count }, (_, index) => aHost({ installationId: installationId(index + 1), ...facts }));
}

/** An override for the host with installation id 1, not spent. */
export function anOverride(facts: Partial<Override> = {}): Override {
  return { installationId: installationId(1), at: mondayTen, callReference: 'CALL-1', usedAt: null, ...facts };
}

// ---- Exception requests

/** A complete MAKADD request of Inés's: more than the call centre can give, too little for a review, nothing to flag. */
export function aRequestForm(facts: Partial<RequestForm> = {}): RequestForm {
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
    ...facts,
  };
}

/** The same for the KMS key: ten more host places. */
export function aKmsRequestForm(facts: Partial<RequestForm> = {}): RequestForm {
  return aRequestForm({
    kind: 'KMSADD',
    product: 'windows-server-2008-standard',
    keyLastFive: 'HJKMP',
    activationsRequested: 10,
    ...facts,
  });
}

/** What is known of the agreement when a request comes in: both of its keys, and no request that is open. */
export function intakeContext(facts: Partial<IntakeContext> = {}): IntakeContext {
  return { agreement: anAgreement(), keys: [aMak()], openExceptionId: () => undefined, ...facts };
}

/** What a request was made with: an intake other than `anIntake()`, and the moment of every move up to the step named. */
export type StateOptions = { readonly form?: Partial<RequestForm>; readonly at?: Instant };

export function requestReceived({ form = {}, at = mondayTen }: StateOptions = {}): ExceptionRequest {
  const facts = form.kind === 'KMSADD' ? aKmsRequestForm(form) : aRequestForm(form);
  const keys: Key[] = [facts.kind === 'KMSADD' ? aKmsKey() : aMak()];
  return expectAccepted(
    receiveRequest(facts, intakeContext({ keys }), 'X-1', context({ actor: facts.requester.email, now: at })),
  ).request;
}

export function requestInReview(made: StateOptions = {}): ExceptionRequest {
  return expectAccepted(requestReview(requestReceived(made))).request;
}

export function requestAwaitingRequester(made: StateOptions = {}): ExceptionRequest {
  const before = requestInReview(made);
  return expectAccepted(askQuestion(before, 'Which schools?', context({ actor: reviewer, now: before.receivedAt })))
    .request;
}

export function requestAnswered(made: StateOptions = {}): ExceptionRequest {
  const before = requestAwaitingRequester(made);
  return expectAccepted(answerQuestion(before, 'Elm and Fir.', context({ actor: ines.email, now: before.receivedAt })))
    .request;
}

export function requestAwaitingApproval(made: StateOptions = {}): ExceptionRequest {
  const before = requestReceived(made);
  return expectAccepted(requestApproval(before, context({ now: before.receivedAt }))).request;
}

/** Forwarded by the team for a smaller number while the Correspondent was being asked: the second question. */
export function requestInSecondRound(made: StateOptions = {}): ExceptionRequest {
  const before = requestAwaitingApproval(made);
  return expectAccepted(
    forwardRequest(before, before.activations - 1, context({ actor: reviewer, now: before.receivedAt })),
  ).request;
}

/** Approved by the Correspondent; the limit has not been raised yet. */
export function requestApproved(made: StateOptions = {}): ExceptionRequest {
  return requestDecided('approve', made);
}

export function requestDenied(made: StateOptions = {}): ExceptionRequest {
  return requestDecided('deny', made);
}

function requestDecided(decision: 'approve' | 'deny', made: StateOptions): ExceptionRequest {
  const before = requestAwaitingApproval(made);
  const choice = { decision, comment: null } as const;
  return expectAccepted(
    recordDecision(before, before.rounds, choice, context({ actor: noor.email, now: before.receivedAt })),
  ).request;
}

export function requestFulfilled(made: StateOptions = {}): ExceptionRequest {
  const before = requestApproved(made);
  const key = before.form.kind === 'KMSADD' ? aKmsKey() : aMak();
  return expectAccepted(fulfillRequest(before, key, context({ now: before.receivedAt }))).request;
}

export function requestRejected(made: StateOptions = {}): ExceptionRequest {
  const before = requestInReview(made);
  return expectAccepted(rejectRequest(before, 'Too many.', context({ actor: reviewer, now: before.receivedAt })))
    .request;
}

export function requestWithdrawn(made: StateOptions = {}): ExceptionRequest {
  const before = requestReceived(made);
  return expectAccepted(
    withdrawRequest(before, 'No longer needed.', context({ actor: ines.email, now: before.receivedAt })),
  ).request;
}

/** Lapsed since the Correspondent did not answer. */
export function requestLapsed({ at = fridayNine, ...made }: StateOptions = {}): ExceptionRequest {
  return expectAccepted(lapseRequest(requestAwaitingApproval(made), context({ now: at }))).request;
}

const builders: Readonly<Record<ExceptionStatus, (made?: StateOptions) => ExceptionRequest>> = {
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

/** A request that got to this status by legal moves, with whatever facts the test lays over it. */
export function aRequest({
  status = 'received',
  form,
  at,
  ...facts
}: Partial<ExceptionRequest> & { status?: ExceptionStatus; at?: Instant } = {}): ExceptionRequest {
  const options = { ...(form === undefined ? {} : { form: form }), ...(at === undefined ? {} : { at }) };
  return { ...builders[status](options), ...facts };
}

/** A request in each of the nine states. */
export const requestInEachState: readonly ExceptionRequest[] = exceptionStatuses.map((status) => aRequest({ status }));

/** The same request, whose workflow is parked on a wait. */
export function withWaitingExecution(request: ExceptionRequest): ExceptionRequest {
  return { ...request, execution: { status: 'waiting', executionNumber: 1, since: request.receivedAt } };
}

// ---- Answers

/** What a rule decided. Throws when it refused: the test was about something else. */
export function expectAccepted<Outcome extends object>(result: Result<Outcome>): { readonly ok: true } & Outcome {
  if (!result.ok) throw new Error(`refused: ${result.refusal.code}: ${result.refusal.detail}`);
  return result;
}

/** Why a rule refused. Throws when it did not. */
export function expectRefusal(result: Result<object>): Refusal {
  if (result.ok) throw new Error('not refused');
  return result.refusal;
}
