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

/** The content of a response: JSON of this shape, a page, either of them as the caller prefers, or no body. */
type ResponseDoc = { readonly description: string; readonly json?: z.ZodType; readonly page?: true };

export type OperationDoc = {
  /** The name of the operation in generated clients. */
  readonly operationId: string;
  /** One line that says what the operation does. */
  readonly summary: string;
  /** More that a caller should know, in Markdown. */
  readonly notes?: string;
  /** The body of a route that takes a form, or the same as JSON. All other bodies are in `request-schemas.ts`. */
  readonly form?: z.ZodType;
  readonly responses: Readonly<Record<number, ResponseDoc>>;
  /**
   * The refusal codes of this route, each with its status where that is not the usual one. Refusals that follow from the
   * shape of a route (a token, a body, an ID in the path) are not repeated here.
   */
  readonly refusals?: Readonly<Partial<Record<RefusalCode, 'usual-status' | number>>>;
};

const usualStatus = 'usual-status';

/** The result of each line of a batch: its activation, or the problem. */
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
      .describe('One result for each line of the batch, in the same order.'),
  })
  .meta({ id: 'BatchResults' });

const exceptionTransitionDocs = {
  responses: { 202: { description: 'The request.', json: exception } },
  refusals: { 'not-in-that-state': usualStatus },
} as const;

/**
 * The documentation of every route: its responses, bodies, and refusals. The type requires an entry for each route of the
 * manifest.
 */
export const operationDocs = {
  'POST /activations': {
    operationId: 'activate',
    summary: 'Activate an installation',
    notes:
      'The product key is the credential; no token is sent. With a MAK, an installation that activates again gets the same confirmation, and nothing is counted. Each activation of a KMS host is one use of that host.',
    responses: {
      200: { description: 'Already activated with this key. Nothing was counted.', json: activation },
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
      'For machines that are not connected. Each line gets its own result, in order. An error in one line does not affect the others. If the limit is reached, the first lines get the activations that remain.',
    responses: { 200: { description: 'The result of each line.', json: batchResults } },
    refusals: { 'unknown-key': usualStatus },
  },
  'POST /validations': {
    operationId: 'validate',
    summary: 'Validate an installation',
    notes: 'After a key is blocked, its installations stay genuine for a grace period. The response says when it ends.',
    responses: {
      200: { description: 'Whether the installation is genuine, and the reason if it is not.', json: validation },
    },
    refusals: { 'invalid-installation-id': usualStatus },
  },
  'POST /kms-hosts/client-reports': {
    operationId: 'reportClients',
    summary: 'Report how many machines a KMS host serves',
    notes: 'The number is shown to the customer. It is not limited, and nothing is charged.',
    responses: { 204: { description: 'Recorded.' } },
    refusals: { 'unknown-key': usualStatus, 'not-found': usualStatus, 'invalid-installation-id': usualStatus },
  },
  'GET /agreements': {
    operationId: 'listAgreements',
    summary: 'List your agreements',
    notes: 'Lists the agreements that have your email address as a contact or as the Notices Correspondent.',
    responses: { 200: { description: 'One page, ordered by ID.', json: pageOf(agreement) } },
  },
  'GET /agreements/{agreementId}': {
    operationId: 'getAgreement',
    summary: 'Show an agreement',
    responses: { 200: { description: 'The agreement.', json: agreement } },
  },
  'GET /agreements/{agreementId}/keys': {
    operationId: 'listKeys',
    summary: 'List the keys of an agreement',
    notes:
      'Lists MAKs and KMS keys with their limit and use. Only the last five characters of a product key are shown.',
    responses: { 200: { description: 'One page, ordered by ID.', json: pageOf(key) } },
  },
  'POST /agreements/{agreementId}/keys': {
    operationId: 'issueMak',
    summary: 'Request a MAK',
    notes:
      'For a contact on the Authorized Contact List, or the call center on behalf of one. An agreement has one live MAK for each product group. Its initial limit depends on the program, the level, and the number of licenses.',
    responses: { 201: { description: 'The new key.', json: mak } },
    refusals: { 'mak-already-issued': usualStatus, 'product-not-covered': usualStatus },
  },
  'GET /keys/{keyId}': {
    operationId: 'getKey',
    summary: 'Show a key',
    responses: { 200: { description: 'The key, with its limit and use.', json: key } },
  },
  'POST /keys/{keyId}/reveal': {
    operationId: 'revealKey',
    summary: 'Reveal the product key',
    notes: 'For a contact on the Authorized Contact List. The history of the key records who saw it.',
    responses: { 200: { description: 'The full product key.', json: revealedKey } },
  },
  'GET /keys/{keyId}/activations': {
    operationId: 'listActivations',
    summary: 'List the activations of a key',
    responses: { 200: { description: 'One page of machines (MAK) or hosts (KMS).', json: pageOf(activatedMachine) } },
  },
  'GET /keys/{keyId}/grants': {
    operationId: 'listGrants',
    summary: 'List the grants behind a key’s limit',
    responses: { 200: { description: 'One page of grants, oldest first.', json: pageOf(grant) } },
  },
  'GET /keys/{keyId}/history': {
    operationId: 'listKeyHistory',
    summary: 'Show the history of a key',
    responses: { 200: { description: 'One page of entries, oldest first.', json: pageOf(ledgerEntry) } },
  },
  'GET /keys/{keyId}/allowances': {
    operationId: 'getAllowances',
    summary: 'Show what the call center can grant now',
    notes: 'If it can grant nothing now, the response says when it can, or what to request instead.',
    responses: { 200: { description: 'The allowances.', json: allowances } },
  },
  'GET /keys/{keyId}/forecast': {
    operationId: 'getForecast',
    summary: 'Forecast when a key runs out',
    notes:
      'Based on the activation history of the key: the day on which the limit is used up, and the last safe day to request more. The latter leaves time for our answer (business days) and for the usual approval time of this customer.',
    responses: {
      200: { description: 'The forecast. All members are null if the history is too short.', json: forecast },
    },
  },
  'POST /keys/{keyId}/replacements': {
    operationId: 'replaceKey',
    summary: 'Replace a key',
    notes:
      'Blocks the key for activation and validation, and issues a new key of the same type and group with the standard limit, in one step.',
    responses: { 201: { description: 'Both keys.', json: keyReplacement } },
    refusals: { 'key-blocked': usualStatus },
  },
  'POST /plans': {
    operationId: 'planActivation',
    summary: 'Plan activation',
    notes:
      'Given the machines by site and product group, returns the keys to use, the number of KMS hosts and MAK activations, and what to request beyond the standard limits. Nothing is stored.',
    responses: { 200: { description: 'The plan.', json: plan } },
  },
  'PUT /agreements/{agreementId}/deputy': {
    operationId: 'nameDeputy',
    summary: 'Name a deputy',
    notes:
      'Only for the Notices Correspondent. From the first day to the last, the deputy is asked for approvals, too.',
    responses: { 200: { description: 'The agreement.', json: agreement } },
  },
  'GET /call-center/keys': {
    operationId: 'findKeys',
    summary: 'Find keys for a caller',
    notes:
      'Searches by agreement, by the last five characters of the product key, or by both. One of the two is required.',
    responses: { 200: { description: 'One page of keys, live ones first.', json: pageOf(key) } },
  },
  'POST /keys/{keyId}/overrides': {
    operationId: 'giveOverride',
    summary: 'Grant a KMS host one more activation',
    notes:
      'One override a day for each key, in the time zone of the call center, and five in total. Only the host with this installation ID can use it, once, after its standard allowance is used up.',
    responses: {
      200: { description: 'Granted before with the same call reference. Nothing more was granted.', json: grant },
      201: { description: 'Granted.', json: grant },
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
    notes: 'All calls together can raise the limit up to a multiple of the initial limit; see the allowances.',
    responses: {
      200: { description: 'Raised before with the same call reference. Nothing more was granted.', json: grant },
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
    summary: 'Submit an exception request',
    notes:
      'For more than the call center can grant. MAKADD adds activations to a MAK; KMSADD adds host slots to a KMS key. The Notices Correspondent of the agreement is asked to approve. `dueAt` is the time by which we answer.',
    responses: { 202: { description: 'Accepted. `status` shows the progress.', json: exception } },
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
    notes:
      'Customers see the requests of their own agreements; staff see all. `status=open` selects all requests that are not final.',
    responses: { 200: { description: 'One page, soonest due first.', json: pageOf(exception) } },
    refusals: { 'not-found': usualStatus },
  },
  'GET /exceptions/{exceptionId}': {
    operationId: 'getException',
    summary: 'Show an exception request',
    responses: { 200: { description: 'The request.', json: exception } },
  },
  'GET /exceptions/{exceptionId}/history': {
    operationId: 'listExceptionHistory',
    summary: 'Show the history of an exception request',
    responses: { 200: { description: 'One page of entries, oldest first.', json: pageOf(ledgerEntry) } },
  },
  'POST /exceptions/{exceptionId}/questions': {
    operationId: 'askRequester',
    summary: 'Ask the requester a question',
    notes: 'The question is emailed, and the due time is paused until the requester answers.',
    ...exceptionTransitionDocs,
  },
  'POST /exceptions/{exceptionId}/answers': {
    operationId: 'answerQuestion',
    summary: 'Answer the question of the exceptions team',
    notes:
      'The due time resumes with the time that was left. A reply to the email with the question has the same effect.',
    ...exceptionTransitionDocs,
  },
  'POST /exceptions/{exceptionId}/review': {
    operationId: 'review',
    summary: 'Forward a request to the Notices Correspondent, or reject it',
    notes: 'You can forward a smaller number than requested. An open approval of another number becomes void.',
    ...exceptionTransitionDocs,
  },
  'POST /exceptions/{exceptionId}/withdrawal': {
    operationId: 'withdraw',
    summary: 'Withdraw a request',
    notes: 'Possible until the request is decided.',
    ...exceptionTransitionDocs,
  },
  'GET /approvals/{token}': {
    operationId: 'openApproval',
    summary: 'Open an approval link',
    notes:
      'The link in the email to the Notices Correspondent. Opening it changes nothing. The response is a page, or JSON with `Accept: application/json`.',
    responses: {
      200: {
        description: 'The exact request, and the time until which it can be decided.',
        json: approvalRequest,
        page: true,
      },
    },
    refusals: { 'link-unknown': usualStatus, 'link-void': usualStatus, 'already-decided': 410 },
  },
  'POST /approvals/{token}': {
    operationId: 'decide',
    summary: 'Approve or deny',
    notes:
      'Requires the code from the email with the link. A link decides once. Too many wrong codes void the link, and a new one is emailed.',
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
    summary: 'Send a new code',
    notes:
      'Only for a request that is approved in strict mode, in which codes are sent separately from links. The code goes to the address of the link.',
    responses: { 202: { description: 'The code was sent now or a moment ago.', json: codeExpiry, page: true } },
    refusals: { 'link-unknown': usualStatus, 'already-decided': usualStatus, 'link-void': usualStatus },
  },
  'GET /disputes/{token}': {
    operationId: 'openDispute',
    summary: 'Open a dispute link',
    notes: 'The link “This was not me” in the email after a decision. Opening it changes nothing.',
    responses: { 200: { description: 'The decision and its time.', json: approvalDecision, page: true } },
    refusals: { 'link-unknown': usualStatus },
  },
  'POST /disputes/{token}': {
    operationId: 'dispute',
    summary: 'Dispute a decision',
    notes:
      'For a decision that you did not make. If the limit has not been raised yet, the request is stopped. The exceptions team is alerted.',
    responses: { 202: { description: 'Recorded. The exceptions team is notified.', json: disputeResult, page: true } },
    refusals: { 'link-unknown': usualStatus, 'not-in-that-state': usualStatus },
  },
  'POST /agreements': {
    operationId: 'registerAgreement',
    summary: 'Register an agreement',
    notes: 'An agreement that covers Windows Vista gets its KMS key at once.',
    responses: {
      201: { description: 'The agreement and the keys issued with it.', json: registeredAgreement },
    },
    refusals: { 'agreement-exists': usualStatus },
  },
  'PUT /agreements/{agreementId}/contacts': {
    operationId: 'changeContacts',
    summary: 'Replace the Authorized Contact List',
    notes: 'The list also decides who can see the agreement.',
    responses: { 200: { description: 'The agreement.', json: agreement } },
  },
  'PUT /agreements/{agreementId}/notices-correspondent': {
    operationId: 'nameCorrespondent',
    summary: 'Name a new Notices Correspondent',
    notes:
      'Takes effect after a waiting period. All contacts and both Correspondents are notified at once. Open approvals are sent to the new Correspondent.',
    responses: { 200: { description: 'The agreement, with the pending Correspondent.', json: agreement } },
  },
  'GET /health': {
    operationId: 'getHealth',
    summary: 'Check the health of the service',
    responses: { 200: { description: 'The service is running.', json: health } },
  },
  'GET /openapi.json': {
    operationId: 'getDescription',
    summary: 'Get the OpenAPI document',
    responses: { 200: { description: 'An OpenAPI 3.1 document.', json: openApi } },
  },
  'GET /docs': {
    operationId: 'readDescription',
    summary: 'Read the API documentation',
    responses: { 200: { description: 'The documentation page.', page: true } },
  },
} as const satisfies Readonly<Record<Route, OperationDoc>>;
