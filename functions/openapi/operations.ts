import * as z from 'zod';
import type { RefusalCode } from '../../domain/refusal.ts';
import { decisionSchema } from '../http/request-schemas.ts';
import {
  activatedMachine,
  activation,
  agreement,
  allowances,
  approvalAsked,
  approvalDecided,
  codeSent,
  disputed,
  entry,
  exception,
  forecast,
  grant,
  health,
  key,
  mak,
  openApi,
  pageOf,
  plan,
  registeredAgreement,
  replaced,
  revealed,
  validation,
} from '../http/response-schemas.ts';
import type { Route } from '../manifest.ts';
import { problemDocument } from './problem-schemas.ts';

/** What comes with one status: JSON of this shape, a page for people, either of them as the caller prefers, or no body. */
type Reply = { readonly says: string; readonly json?: z.ZodType; readonly page?: true };

export type DescribedRoute = {
  /** What programs made from the description call it. */
  readonly operation: string;
  /** What it does, in a line. */
  readonly summary: string;
  /** What else a caller should know. Markdown. */
  readonly more?: string;
  /** The body of a route that reads a form, or the same as JSON. Every other body is in `schemas.ts`. */
  readonly form?: z.ZodType;
  readonly answers: Readonly<Record<number, Reply>>;
  /**
   * The codes that this route alone can refuse with, and where its status is not the code's usual one, that status.
   * What follows from the shape of a route (a token, a body, an id in the path) is not repeated here.
   */
  readonly refuses?: Readonly<Partial<Record<RefusalCode, 'as usual' | number>>>;
};

const asUsual = 'as usual';

/** What a line of a batch is told: its activation, or why there is none. */
const batch = z
  .strictObject({
    results: z
      .array(
        z.strictObject({
          installationId: z.string().describe('As it was sent.'),
          status: z.int(),
          activation: activation.optional(),
          problem: z
            .discriminatedUnion('code', [
              problemDocument('invalid-installation-id'),
              problemDocument('product-not-covered'),
              problemDocument('activation-limit-reached'),
              problemDocument('key-blocked'),
            ])
            .optional(),
        }),
      )
      .min(1)
      .max(90)
      .describe('One for each line of the batch, in its order.'),
  })
  .meta({ id: 'BatchResults' });

const changesException = {
  answers: { 202: { says: 'The request as it stands now.', json: exception } },
  refuses: { 'not-in-that-state': asUsual },
} as const;

/**
 * Every route: what it answers, with which bodies, and what it can refuse. A route of the manifest that is not here does
 * not compile, and so is never undescribed.
 */
export const describedRoutes = {
  'POST /activations': {
    operation: 'activate',
    summary: 'Activate an installation',
    more: 'The product key is the credential: no token is sent. With a MAK the same installation may ask again as often as it likes: it gets the same confirmation and nothing is counted. Each activation of a KMS host is a use of that host.',
    answers: {
      200: { says: 'Activated already, with the same key: nothing was counted.', json: activation },
      201: { says: 'Activated.', json: activation },
    },
    refuses: {
      'unknown-key': asUsual,
      'key-blocked': 403,
      'invalid-installation-id': asUsual,
      'product-not-covered': asUsual,
      'activation-limit-reached': asUsual,
    },
  },
  'POST /activations/batch': {
    operation: 'activateBatch',
    summary: 'Activate up to 90 installations',
    more: 'For machines that are not connected. Each line gets its own answer, in order: a mistake in one keeps none of the others from being activated, and when the limit is reached the first lines get what is left.',
    answers: { 200: { says: 'What became of each line.', json: batch } },
    refuses: { 'unknown-key': asUsual },
  },
  'POST /validations': {
    operation: 'validate',
    summary: 'Say whether an installation is genuine',
    more: 'Blocking a key makes its installations not genuine after a grace, which the answer states.',
    answers: { 200: { says: 'Whether it is, and if not why.', json: validation } },
    refuses: { 'invalid-installation-id': asUsual },
  },
  'POST /kms-hosts/client-reports': {
    operation: 'reportClients',
    summary: 'Report how many machines a KMS host serves',
    more: 'The number is shown to the customer. Nothing is limited by it and nothing is charged.',
    answers: { 204: { says: 'Taken down.' } },
    refuses: { 'unknown-key': asUsual, 'not-found': asUsual, 'invalid-installation-id': asUsual },
  },
  'GET /agreements': {
    operation: 'listAgreements',
    summary: 'List your agreements',
    more: 'Those on whose Authorized Contact List, or as whose Notices Correspondent, your e-mail address is.',
    answers: { 200: { says: 'One page of them, by id.', json: pageOf(agreement) } },
  },
  'GET /agreements/{agreementId}': {
    operation: 'getAgreement',
    summary: 'Show an agreement',
    answers: { 200: { says: 'The agreement.', json: agreement } },
  },
  'GET /agreements/{agreementId}/keys': {
    operation: 'listKeys',
    summary: 'List the keys of an agreement',
    more: 'MAKs and KMS keys alike, with what is used of each. Only the last five symbols of a key are shown.',
    answers: { 200: { says: 'One page of them, by id.', json: pageOf(key) } },
  },
  'POST /agreements/{agreementId}/keys': {
    operation: 'issueMak',
    summary: 'Get a MAK',
    more: 'For a contact on the Authorized Contact List, or the call centre for one. There is one live MAK for each product group; how many activations it starts with follows from the program and the licenses.',
    answers: { 201: { says: 'The new key.', json: mak } },
    refuses: { 'mak-already-issued': asUsual, 'product-not-covered': asUsual },
  },
  'GET /keys/{keyId}': {
    operation: 'getKey',
    summary: 'Show a key',
    answers: { 200: { says: 'The key, with its limit and what is used of it.', json: key } },
  },
  'POST /keys/{keyId}/reveal': {
    operation: 'revealKey',
    summary: 'Show the whole product key',
    more: 'For a contact on the Authorized Contact List. To whom it was shown is recorded in the key’s history.',
    answers: { 200: { says: 'The whole key.', json: revealed } },
  },
  'GET /keys/{keyId}/activations': {
    operation: 'listActivations',
    summary: 'List what has activated with a key',
    answers: { 200: { says: 'One page of machines, or of KMS hosts.', json: pageOf(activatedMachine) } },
  },
  'GET /keys/{keyId}/grants': {
    operation: 'listGrants',
    summary: 'List what made a key’s limit what it is',
    answers: { 200: { says: 'One page of grants, oldest first.', json: pageOf(grant) } },
  },
  'GET /keys/{keyId}/history': {
    operation: 'listKeyHistory',
    summary: 'List what happened to a key',
    answers: { 200: { says: 'One page of entries, oldest first.', json: pageOf(entry) } },
  },
  'GET /keys/{keyId}/allowances': {
    operation: 'getAllowances',
    summary: 'Show what the call centre can give now',
    more: 'And if nothing, when next, or what to ask for instead.',
    answers: { 200: { says: 'What can be given.', json: allowances } },
  },
  'GET /keys/{keyId}/forecast': {
    operation: 'getForecast',
    summary: 'Forecast when a key runs out',
    more: 'From the key’s own activation history: the day it runs out, and the last day on which more can safely be asked for. That is the day less the business days in which a request is answered and the time that this customer’s approvals usually take.',
    answers: {
      200: { says: 'The forecast. All null while the history is too short to say anything.', json: forecast },
    },
  },
  'POST /keys/{keyId}/replacements': {
    operation: 'replaceKey',
    summary: 'Block a key and get a new one',
    more: 'In one step: the old key is blocked for activation and validation, and a new one of the same kind and group starts with the standard allowance.',
    answers: { 201: { says: 'Both keys.', json: replaced } },
    refuses: { 'key-blocked': asUsual },
  },
  'POST /plans': {
    operation: 'planActivation',
    summary: 'Plan which keys to use where',
    more: 'From the machines by site and product group: how many KMS hosts and MAK activations that takes, and what must be asked for beyond the standard limits. Nothing is kept.',
    answers: { 200: { says: 'The plan.', json: plan } },
  },
  'PUT /agreements/{agreementId}/deputy': {
    operation: 'nameDeputy',
    summary: 'Name a deputy for some days',
    more: 'For the Notices Correspondent alone. From the first to the last day the deputy is asked as well.',
    answers: { 200: { says: 'The agreement as it is now.', json: agreement } },
  },
  'GET /call-center/keys': {
    operation: 'findKeys',
    summary: 'Find keys for a caller',
    more: 'By agreement, by the last five symbols of the key, or by both; one of the two is needed.',
    answers: { 200: { says: 'One page of keys, live ones first.', json: pageOf(key) } },
  },
  'POST /keys/{keyId}/overrides': {
    operation: 'giveOverride',
    summary: 'Give a KMS host one more activation',
    more: 'One a day for each key, by the call centre’s calendar, and a few in all. Only the host whose installation id the caller reads out can spend it, once, when its own allowance is gone.',
    answers: {
      200: { says: 'Given before, under the same call reference: nothing more was given.', json: grant },
      201: { says: 'Given.', json: grant },
    },
    refuses: {
      'invalid-installation-id': asUsual,
      'wrong-key-type': asUsual,
      'key-blocked': asUsual,
      'override-used-today': asUsual,
      'overrides-exhausted': asUsual,
    },
  },
  'POST /keys/{keyId}/increases': {
    operation: 'raiseLimit',
    summary: 'Raise the limit of a MAK during a call',
    more: 'Over all calls together up to a multiple of what the key was issued with, which the allowances tell.',
    answers: {
      200: { says: 'Raised before, under the same call reference: nothing more was given.', json: grant },
      201: { says: 'Raised.', json: grant },
    },
    refuses: {
      'wrong-key-type': asUsual,
      'key-blocked': asUsual,
      'limit-not-raised': asUsual,
      'above-call-center-limit': asUsual,
    },
  },
  'POST /exceptions': {
    operation: 'requestException',
    summary: 'Ask for more activations than the call centre can give',
    more: 'MAKADD adds activations to a MAK, KMSADD adds host places to a KMS key. The answer is due within some business days, which `dueAt` tells; the Notices Correspondent of the agreement is asked to approve.',
    answers: { 202: { says: 'Taken. What happens next shows in `status`.', json: exception } },
    refuses: {
      'requester-not-authorized': asUsual,
      'key-not-found': asUsual,
      'product-not-covered': asUsual,
      'wrong-key-type': asUsual,
      'key-blocked': asUsual,
      'not-an-exception': asUsual,
      'exception-already-open': asUsual,
    },
  },
  'GET /exceptions': {
    operation: 'listExceptions',
    summary: 'List exception requests',
    more: 'Customers see those of their own agreements, staff all. `status=open` is all that are not final.',
    answers: { 200: { says: 'One page of them, soonest due first.', json: pageOf(exception) } },
    refuses: { 'not-found': asUsual },
  },
  'GET /exceptions/{exceptionId}': {
    operation: 'getException',
    summary: 'Show an exception request',
    answers: { 200: { says: 'The request as it stands now.', json: exception } },
  },
  'GET /exceptions/{exceptionId}/history': {
    operation: 'listExceptionHistory',
    summary: 'List what happened to an exception request',
    answers: { 200: { says: 'One page of entries, oldest first.', json: pageOf(entry) } },
  },
  'POST /exceptions/{exceptionId}/questions': {
    operation: 'askRequester',
    summary: 'Put a question to the requester',
    more: 'It is mailed to them, and the clock stands until they answer.',
    ...changesException,
  },
  'POST /exceptions/{exceptionId}/answers': {
    operation: 'answerQuestion',
    summary: 'Answer the question of the exceptions team',
    more: 'The clock runs on with what was left. A reply to the mail that asked does the same.',
    ...changesException,
  },
  'POST /exceptions/{exceptionId}/review': {
    operation: 'review',
    summary: 'Forward a request to the Notices Correspondent, or reject it',
    more: 'A smaller number may be forwarded than was requested. A question that is out about another number is void then.',
    ...changesException,
  },
  'POST /exceptions/{exceptionId}/withdrawal': {
    operation: 'withdraw',
    summary: 'Withdraw a request',
    more: 'Possible until it is decided.',
    ...changesException,
  },
  'GET /approvals/{token}': {
    operation: 'openApproval',
    summary: 'Show what is to be approved',
    more: 'The link in the mail to the Notices Correspondent. Opening it changes nothing, however often and by whomever. People get a page; with `Accept: application/json` it answers JSON.',
    answers: { 200: { says: 'The exact request, and until when it can be decided.', json: approvalAsked, page: true } },
    refuses: { 'link-unknown': asUsual, 'link-void': asUsual, 'already-decided': 410 },
  },
  'POST /approvals/{token}': {
    operation: 'decide',
    summary: 'Approve or deny',
    more: 'With the code from the same mail as the link. A link decides once; too many wrong codes void it, and a new one is mailed.',
    form: decisionSchema,
    answers: { 200: { says: 'Recorded.', json: approvalDecided, page: true } },
    refuses: {
      'malformed-json': asUsual,
      'unsupported-media-type': asUsual,
      'invalid-request': asUsual,
      'link-unknown': asUsual,
      'wrong-code': asUsual,
      'already-decided': asUsual,
      'link-void': asUsual,
    },
  },
  'POST /approvals/{token}/codes': {
    operation: 'sendCode',
    summary: 'Mail a fresh code',
    more: 'Only where codes are sent apart from links; elsewhere no link has it. It goes to the address that the link went to.',
    answers: { 202: { says: 'Sent, or sent a moment ago.', json: codeSent, page: true } },
    refuses: { 'link-unknown': asUsual, 'already-decided': asUsual, 'link-void': asUsual },
  },
  'GET /disputes/{token}': {
    operation: 'openDispute',
    summary: 'Show the decision that the mail is about',
    more: 'The link “this was not me” in the mail after a decision. Opening it changes nothing.',
    answers: { 200: { says: 'What was decided, and when.', json: approvalDecided, page: true } },
    refuses: { 'link-unknown': asUsual },
  },
  'POST /disputes/{token}': {
    operation: 'dispute',
    summary: 'Say that the decision was somebody else’s',
    more: 'A request whose limit has not been raised is frozen; otherwise the exceptions team is alarmed.',
    answers: { 202: { says: 'Taken down, and the team has been told.', json: disputed, page: true } },
    refuses: { 'link-unknown': asUsual, 'not-in-that-state': asUsual },
  },
  'POST /agreements': {
    operation: 'registerAgreement',
    summary: 'Register an agreement',
    more: 'One that covers Windows Vista gets its KMS key at once.',
    answers: { 201: { says: 'The agreement, with the keys that were issued with it.', json: registeredAgreement } },
    refuses: { 'agreement-exists': asUsual },
  },
  'PUT /agreements/{agreementId}/contacts': {
    operation: 'changeContacts',
    summary: 'Replace the Authorized Contact List',
    more: 'And with it who may see the agreement.',
    answers: { 200: { says: 'The agreement as it is now.', json: agreement } },
  },
  'PUT /agreements/{agreementId}/notices-correspondent': {
    operation: 'nameCorrespondent',
    summary: 'Name a new Notices Correspondent',
    more: 'Takes effect after a waiting period. All contacts and both correspondents are told at once, and questions that are out are asked again of the new one.',
    answers: { 200: { says: 'The agreement, with who waits to take over.', json: agreement } },
  },
  'GET /health': {
    operation: 'getHealth',
    summary: 'Say that the service answers',
    answers: { 200: { says: 'It does.', json: health } },
  },
  'GET /openapi.json': {
    operation: 'getDescription',
    summary: 'This description',
    answers: { 200: { says: 'An OpenAPI 3.1 document.', json: openApi } },
  },
  'GET /docs': {
    operation: 'readDescription',
    summary: 'This description, to read',
    answers: { 200: { says: 'A page.', page: true } },
  },
} as const satisfies Readonly<Record<Route, DescribedRoute>>;
