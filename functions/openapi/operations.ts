import * as z from 'zod';
import type { RefusalCode } from '../../domain/refusal.ts';
import { decisionSchema } from '../http/request-schemas.ts';
import {
  activatedMachine,
  activation,
  agreement,
  allowances,
  approvalDecision,
  approvalRequest,
  codeExpiry,
  disputeResult,
  exception,
  forecast,
  grant,
  health,
  key,
  keyReplacement,
  ledgerEntry,
  mak,
  openApi,
  pageOf,
  plan,
  registeredAgreement,
  revealedKey,
  validation,
} from '../http/response-schemas.ts';
import type { Route } from '../manifest.ts';
import { problemDocumentSchema } from './problem-schemas.ts';

/** What comes with one status: JSON of this shape, a page for people, either of them as the caller prefers, or no body. */
type ResponseDoc = { readonly description: string; readonly json?: z.ZodType; readonly page?: true };

export type OperationDoc = {
  /** What programs made from the description call it. */
  readonly operationId: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** What else a caller should know. Markdown. */
  readonly notes?: string;
  /** The body of a route that reads a form, or the same as JSON. Every other body is in `schemas.ts`. */
  readonly form?: z.ZodType;
  readonly responses: Readonly<Record<number, ResponseDoc>>;
  /**
   * The codes that this route alone can refuse with, and where its status is not the code's usual one, that status.
   * What follows from the shape of a route (a token, a body, an id in the path) is not repeated here.
   */
  readonly refusals?: Readonly<Partial<Record<RefusalCode, 'usual-status' | number>>>;
};

const usualStatus = 'usual-status';

/** What a line of a batch is told: its activation, or why there is none. */
const batchResults = z
  .strictObject({
    results: z
      .array(
        z.strictObject({
          installationId: z.string().describe('As it was sent.'),
          status: z.int(),
          activation: activation.optional(),
          problem: z
            .discriminatedUnion('code', [
              problemDocumentSchema('invalid-installation-id'),
              problemDocumentSchema('product-not-covered'),
              problemDocumentSchema('activation-limit-reached'),
              problemDocumentSchema('key-blocked'),
            ])
            .optional(),
        }),
      )
      .min(1)
      .max(90)
      .describe('One for each line of the batch, in its order.'),
  })
  .meta({ id: 'BatchResults' });

const exceptionTransitionDocs = {
  responses: { 202: { description: 'The request as it stands now.', json: exception } },
  refusals: { 'not-in-that-state': usualStatus },
} as const;

/**
 * Every route: what it answers, with which bodies, and what it can refuse. A route of the manifest that is not here does
 * not compile, and so is never undescribed.
 */
export const operationDocs = {
  'POST /activations': {
    operationId: 'activate',
    summary: 'Activate an installation',
    notes:
      'The product key is the credential: no token is sent. With a MAK the same installation may ask again as often as it likes: it gets the same confirmation and nothing is counted. Each activation of a KMS host is a use of that host.',
    responses: {
      200: { description: 'Activated already, with the same key: nothing was counted.', json: activation },
      201: { description: 'Activated.', json: activation },
    },
    refusals: {
      'unknown-key': usualStatus,
      'key-blocked': 403,
      'invalid-installation-id': usualStatus,
      'product-not-covered': usualStatus,
      'activation-limit-reached': usualStatus,
    },
  },
  'POST /activations/batch': {
    operationId: 'activateBatch',
    summary: 'Activate up to 90 installations',
    notes:
      'For machines that are not connected. Each line gets its own answer, in order: a mistake in one keeps none of the others from being activated, and when the limit is reached the first lines get what is left.',
    responses: { 200: { description: 'What became of each line.', json: batchResults } },
    refusals: { 'unknown-key': usualStatus },
  },
  'POST /validations': {
    operationId: 'validate',
    summary: 'Say whether an installation is genuine',
    notes: 'Blocking a key makes its installations not genuine after a grace, which the answer states.',
    responses: { 200: { description: 'Whether it is, and if not why.', json: validation } },
    refusals: { 'invalid-installation-id': usualStatus },
  },
  'POST /kms-hosts/client-reports': {
    operationId: 'reportClients',
    summary: 'Report how many machines a KMS host serves',
    notes: 'The number is shown to the customer. Nothing is limited by it and nothing is charged.',
    responses: { 204: { description: 'Taken down.' } },
    refusals: { 'unknown-key': usualStatus, 'not-found': usualStatus, 'invalid-installation-id': usualStatus },
  },
  'GET /agreements': {
    operationId: 'listAgreements',
    summary: 'List your agreements',
    notes: 'Those on whose Authorized Contact List, or as whose Notices Correspondent, your e-mail address is.',
    responses: { 200: { description: 'One page of them, by id.', json: pageOf(agreement) } },
  },
  'GET /agreements/{agreementId}': {
    operationId: 'getAgreement',
    summary: 'Show an agreement',
    responses: { 200: { description: 'The agreement.', json: agreement } },
  },
  'GET /agreements/{agreementId}/keys': {
    operationId: 'listKeys',
    summary: 'List the keys of an agreement',
    notes: 'MAKs and KMS keys alike, with what is used of each. Only the last five symbols of a key are shown.',
    responses: { 200: { description: 'One page of them, by id.', json: pageOf(key) } },
  },
  'POST /agreements/{agreementId}/keys': {
    operationId: 'issueMak',
    summary: 'Get a MAK',
    notes:
      'For a contact on the Authorized Contact List, or the call centre for one. There is one live MAK for each product group; how many activations it starts with follows from the program and the licenses.',
    responses: { 201: { description: 'The new key.', json: mak } },
    refusals: { 'mak-already-issued': usualStatus, 'product-not-covered': usualStatus },
  },
  'GET /keys/{keyId}': {
    operationId: 'getKey',
    summary: 'Show a key',
    responses: { 200: { description: 'The key, with its limit and what is used of it.', json: key } },
  },
  'POST /keys/{keyId}/reveal': {
    operationId: 'revealKey',
    summary: 'Show the whole product key',
    notes: 'For a contact on the Authorized Contact List. To whom it was shown is recorded in the key’s history.',
    responses: { 200: { description: 'The whole key.', json: revealedKey } },
  },
  'GET /keys/{keyId}/activations': {
    operationId: 'listActivations',
    summary: 'List what has activated with a key',
    responses: { 200: { description: 'One page of machines, or of KMS hosts.', json: pageOf(activatedMachine) } },
  },
  'GET /keys/{keyId}/grants': {
    operationId: 'listGrants',
    summary: 'List what made a key’s limit what it is',
    responses: { 200: { description: 'One page of grants, oldest first.', json: pageOf(grant) } },
  },
  'GET /keys/{keyId}/history': {
    operationId: 'listKeyHistory',
    summary: 'List what happened to a key',
    responses: { 200: { description: 'One page of entries, oldest first.', json: pageOf(ledgerEntry) } },
  },
  'GET /keys/{keyId}/allowances': {
    operationId: 'getAllowances',
    summary: 'Show what the call centre can give now',
    notes: 'And if nothing, when next, or what to ask for instead.',
    responses: { 200: { description: 'What can be given.', json: allowances } },
  },
  'GET /keys/{keyId}/forecast': {
    operationId: 'getForecast',
    summary: 'Forecast when a key runs out',
    notes:
      'From the key’s own activation history: the day it runs out, and the last day on which more can safely be asked for. That is the day less the business days in which a request is answered and the time that this customer’s approvals usually take.',
    responses: {
      200: { description: 'The forecast. All null while the history is too short to say anything.', json: forecast },
    },
  },
  'POST /keys/{keyId}/replacements': {
    operationId: 'replaceKey',
    summary: 'Block a key and get a new one',
    notes:
      'In one step: the old key is blocked for activation and validation, and a new one of the same kind and group starts with the standard allowance.',
    responses: { 201: { description: 'Both keys.', json: keyReplacement } },
    refusals: { 'key-blocked': usualStatus },
  },
  'POST /plans': {
    operationId: 'planActivation',
    summary: 'Plan which keys to use where',
    notes:
      'From the machines by site and product group: how many KMS hosts and MAK activations that takes, and what must be asked for beyond the standard limits. Nothing is kept.',
    responses: { 200: { description: 'The plan.', json: plan } },
  },
  'PUT /agreements/{agreementId}/deputy': {
    operationId: 'nameDeputy',
    summary: 'Name a deputy for some days',
    notes: 'For the Notices Correspondent alone. From the first to the last day the deputy is asked as well.',
    responses: { 200: { description: 'The agreement as it is now.', json: agreement } },
  },
  'GET /call-center/keys': {
    operationId: 'findKeys',
    summary: 'Find keys for a caller',
    notes: 'By agreement, by the last five symbols of the key, or by both; one of the two is needed.',
    responses: { 200: { description: 'One page of keys, live ones first.', json: pageOf(key) } },
  },
  'POST /keys/{keyId}/overrides': {
    operationId: 'giveOverride',
    summary: 'Give a KMS host one more activation',
    notes:
      'One a day for each key, by the call centre’s calendar, and a few in all. Only the host whose installation id the caller reads out can spend it, once, when its own allowance is gone.',
    responses: {
      200: { description: 'Given before, under the same call reference: nothing more was given.', json: grant },
      201: { description: 'Given.', json: grant },
    },
    refusals: {
      'invalid-installation-id': usualStatus,
      'wrong-key-type': usualStatus,
      'key-blocked': usualStatus,
      'override-used-today': usualStatus,
      'overrides-exhausted': usualStatus,
    },
  },
  'POST /keys/{keyId}/increases': {
    operationId: 'raiseLimit',
    summary: 'Raise the limit of a MAK during a call',
    notes: 'Over all calls together up to a multiple of what the key was issued with, which the allowances tell.',
    responses: {
      200: { description: 'Raised before, under the same call reference: nothing more was given.', json: grant },
      201: { description: 'Raised.', json: grant },
    },
    refusals: {
      'wrong-key-type': usualStatus,
      'key-blocked': usualStatus,
      'limit-not-raised': usualStatus,
      'above-call-center-limit': usualStatus,
    },
  },
  'POST /exceptions': {
    operationId: 'requestException',
    summary: 'Ask for more activations than the call centre can give',
    notes:
      'MAKADD adds activations to a MAK, KMSADD adds host places to a KMS key. The answer is due within some business days, which `dueAt` tells; the Notices Correspondent of the agreement is asked to approve.',
    responses: { 202: { description: 'Taken. What happens next shows in `status`.', json: exception } },
    refusals: {
      'requester-not-authorized': usualStatus,
      'key-not-found': usualStatus,
      'product-not-covered': usualStatus,
      'wrong-key-type': usualStatus,
      'key-blocked': usualStatus,
      'not-an-exception': usualStatus,
      'exception-already-open': usualStatus,
    },
  },
  'GET /exceptions': {
    operationId: 'listExceptions',
    summary: 'List exception requests',
    notes: 'Customers see those of their own agreements, staff all. `status=open` is all that are not final.',
    responses: { 200: { description: 'One page of them, soonest due first.', json: pageOf(exception) } },
    refusals: { 'not-found': usualStatus },
  },
  'GET /exceptions/{exceptionId}': {
    operationId: 'getException',
    summary: 'Show an exception request',
    responses: { 200: { description: 'The request as it stands now.', json: exception } },
  },
  'GET /exceptions/{exceptionId}/history': {
    operationId: 'listExceptionHistory',
    summary: 'List what happened to an exception request',
    responses: { 200: { description: 'One page of entries, oldest first.', json: pageOf(ledgerEntry) } },
  },
  'POST /exceptions/{exceptionId}/questions': {
    operationId: 'askRequester',
    summary: 'Put a question to the requester',
    notes: 'It is mailed to them, and the clock stands until they answer.',
    ...exceptionTransitionDocs,
  },
  'POST /exceptions/{exceptionId}/answers': {
    operationId: 'answerQuestion',
    summary: 'Answer the question of the exceptions team',
    notes: 'The clock runs on with what was left. A reply to the mail that asked does the same.',
    ...exceptionTransitionDocs,
  },
  'POST /exceptions/{exceptionId}/review': {
    operationId: 'review',
    summary: 'Forward a request to the Notices Correspondent, or reject it',
    notes:
      'A smaller number may be forwarded than was requested. A question that is out about another number is void then.',
    ...exceptionTransitionDocs,
  },
  'POST /exceptions/{exceptionId}/withdrawal': {
    operationId: 'withdraw',
    summary: 'Withdraw a request',
    notes: 'Possible until it is decided.',
    ...exceptionTransitionDocs,
  },
  'GET /approvals/{token}': {
    operationId: 'openApproval',
    summary: 'Show what is to be approved',
    notes:
      'The link in the mail to the Notices Correspondent. Opening it changes nothing, however often and by whomever. People get a page; with `Accept: application/json` it answers JSON.',
    responses: {
      200: { description: 'The exact request, and until when it can be decided.', json: approvalRequest, page: true },
    },
    refusals: { 'link-unknown': usualStatus, 'link-void': usualStatus, 'already-decided': 410 },
  },
  'POST /approvals/{token}': {
    operationId: 'decide',
    summary: 'Approve or deny',
    notes:
      'With the code from the same mail as the link. A link decides once; too many wrong codes void it, and a new one is mailed.',
    form: decisionSchema,
    responses: { 200: { description: 'Recorded.', json: approvalDecision, page: true } },
    refusals: {
      'malformed-json': usualStatus,
      'unsupported-media-type': usualStatus,
      'invalid-request': usualStatus,
      'link-unknown': usualStatus,
      'wrong-code': usualStatus,
      'already-decided': usualStatus,
      'link-void': usualStatus,
    },
  },
  'POST /approvals/{token}/codes': {
    operationId: 'sendCode',
    summary: 'Mail a fresh code',
    notes:
      'Only where codes are sent apart from links; elsewhere no link has it. It goes to the address that the link went to.',
    responses: { 202: { description: 'Sent, or sent a moment ago.', json: codeExpiry, page: true } },
    refusals: { 'link-unknown': usualStatus, 'already-decided': usualStatus, 'link-void': usualStatus },
  },
  'GET /disputes/{token}': {
    operationId: 'openDispute',
    summary: 'Show the decision that the mail is about',
    notes: 'The link “this was not me” in the mail after a decision. Opening it changes nothing.',
    responses: { 200: { description: 'What was decided, and when.', json: approvalDecision, page: true } },
    refusals: { 'link-unknown': usualStatus },
  },
  'POST /disputes/{token}': {
    operationId: 'dispute',
    summary: 'Say that the decision was somebody else’s',
    notes: 'A request whose limit has not been raised is frozen; otherwise the exceptions team is alarmed.',
    responses: { 202: { description: 'Taken down, and the team has been told.', json: disputeResult, page: true } },
    refusals: { 'link-unknown': usualStatus, 'not-in-that-state': usualStatus },
  },
  'POST /agreements': {
    operationId: 'registerAgreement',
    summary: 'Register an agreement',
    notes: 'One that covers Windows Vista gets its KMS key at once.',
    responses: {
      201: { description: 'The agreement, with the keys that were issued with it.', json: registeredAgreement },
    },
    refusals: { 'agreement-exists': usualStatus },
  },
  'PUT /agreements/{agreementId}/contacts': {
    operationId: 'changeContacts',
    summary: 'Replace the Authorized Contact List',
    notes: 'And with it who may see the agreement.',
    responses: { 200: { description: 'The agreement as it is now.', json: agreement } },
  },
  'PUT /agreements/{agreementId}/notices-correspondent': {
    operationId: 'nameCorrespondent',
    summary: 'Name a new Notices Correspondent',
    notes:
      'Takes effect after a waiting period. All contacts and both correspondents are told at once, and questions that are out are asked again of the new one.',
    responses: { 200: { description: 'The agreement, with who waits to take over.', json: agreement } },
  },
  'GET /health': {
    operationId: 'getHealth',
    summary: 'Say that the service answers',
    responses: { 200: { description: 'It does.', json: health } },
  },
  'GET /openapi.json': {
    operationId: 'getDescription',
    summary: 'This description',
    responses: { 200: { description: 'An OpenAPI 3.1 document.', json: openApi } },
  },
  'GET /docs': {
    operationId: 'readDescription',
    summary: 'This description, to read',
    responses: { 200: { description: 'A page.', page: true } },
  },
} as const satisfies Readonly<Record<Route, OperationDoc>>;
