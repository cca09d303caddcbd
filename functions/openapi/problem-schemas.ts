import * as z from 'zod';
import { products } from '../../domain/catalog.ts';
import { exceptionStatuses, manualTransitions } from '../../domain/exception-status.ts';
import type { RefusalCode, RefusalMembers } from '../../domain/refusal.ts';
import { problems } from '../http/problems.ts';
import { exceptionDraft, exceptionId, instant, keyId, lastFive, remedy } from '../http/response-schemas.ts';

/*
 * The problem documents (RFC 9457) of all refusals and faults, one for each code: its additional members, when it occurs,
 * and what to do. The OpenAPI document and docs/errors.md are generated from this.
 */

/** Problems that no rule decides: throttling by the gateway, and faults of the service. */
const serviceProblems = {
  'too-many-requests': { status: 429, title: 'Too many requests' },
  fault: { status: 500, title: 'Internal error' },
  busy: { status: 503, title: 'Too busy' },
} as const;

export type ServiceProblemCode = keyof typeof serviceProblems;
export type ProblemCode = RefusalCode | ServiceProblemCode;

type ProblemDoc = {
  /** The members beside `type`, `title`, `status`, `code`, and `detail`. */
  readonly members: z.ZodRawShape;
  /** The situation in which the problem occurs, in one sentence. */
  readonly when: string;
  /** The next step for the caller. */
  readonly advice: string;
  /** An example of the `detail`. */
  readonly example: string;
};

const fieldError = z
  .strictObject({
    pointer: z.string().describe('A JSON pointer into the body, or `/query/…` or `/headers/…`.'),
    message: z.string().min(1),
  })
  .meta({ id: 'FieldError', description: 'A field that is missing or wrong.' });

export const problemDocs = {
  'invalid-request': {
    members: { errors: z.array(fieldError).min(1).readonly() },
    when: 'A field, query parameter, or header is missing, unknown, or wrong.',
    advice: 'Correct every field in `errors`, which lists all of them (up to 100), and send the request again.',
    example: 'Correct these fields and send the request again: /requester/email, /requiredDate.',
  },
  'malformed-json': {
    members: {},
    when: 'The body is not JSON in UTF-8, or an object in it has the same field twice.',
    advice: 'Create the body with a JSON library. Check quotes, commas, and brackets.',
    example: 'The body is not valid JSON. Check quotes, commas, and brackets.',
  },
  'unsupported-media-type': {
    members: {},
    when: 'The route does not accept the media type of the body.',
    advice: 'Send JSON with `Content-Type: application/json`. A decision on an approval page can also be a form.',
    example: 'Send the body as JSON, with “Content-Type: application/json”.',
  },
  'too-large': {
    members: {},
    when: 'The body is larger than 64 KB.',
    advice: 'Send less at a time, such as a long list in several requests.',
    example: 'The body has 70211 bytes. The maximum is 65536.',
  },
  unauthenticated: {
    members: {},
    when: 'The token is missing or invalid: expired, changed, or from another issuer.',
    advice: 'Sign in again and send `Authorization: Bearer …`.',
    example: 'Sign in, and send the token in the header “Authorization: Bearer …”.',
  },
  forbidden: {
    members: {},
    when: 'You are signed in, but not allowed to do this.',
    advice: 'Ask an administrator for the role, or ask a contact on the Authorized Contact List to do it.',
    example: 'Only the call center can do this. If it is your task, ask an administrator for the role.',
  },
  'not-found': {
    members: {},
    when: 'It does not exist, or you do not have access to it. The response does not say which.',
    advice: 'Check the ID in the address, and the account that you are signed in with.',
    example: 'This key does not exist, or you do not have access to it. Check the ID in the address.',
  },
  'method-not-allowed': {
    members: {},
    when: 'The address exists, but not with this HTTP method.',
    advice: 'Use one of the methods in the `Allow` header.',
    example: 'DELETE is not possible at this address. Use GET or POST.',
  },
  'idempotency-key-reused': {
    members: {},
    when: 'The `Idempotency-Key` was sent with another request in the last 24 hours.',
    advice: 'Send a new key with each new request. Only a retry has the key of the first request.',
    example: 'This idempotency key was sent with another request. Send a new key.',
  },
  'request-in-progress': {
    members: {},
    when: 'A request with this `Idempotency-Key` is still running.',
    advice: 'Wait a moment, and send the request again with the same key. You get the response of the first one.',
    example: 'The same request is still running. Send it again in a moment, with the same key.',
  },
  'agreement-exists': {
    members: { agreementId: z.string().min(1) },
    when: 'An agreement with these numbers is already registered.',
    advice: 'Change the existing agreement, or check the numbers.',
    example: 'Agreement V4407182 is already registered. Change it instead.',
  },
  'mak-already-issued': {
    members: { keyId },
    when: 'The agreement already has a live MAK for this product group.',
    advice: 'Use the key in `keyId`, or ask to raise its limit.',
    example: 'The agreement already has a MAK for client, ending in 7CQ4H. Use that key, or ask to raise its limit.',
  },
  'wrong-key-type': {
    members: {},
    when: 'The operation is for the other type of key.',
    advice: 'Use an increase or MAKADD for a MAK, and an override or KMSADD for a KMS key.',
    example: 'Only KMS keys have overrides, and this key is a MAK. Increase its limit instead.',
  },
  'key-blocked': {
    members: {
      replacedBy: lastFive.nullable().describe('The last five characters of the replacement key, if there is one.'),
    },
    when: 'The key is blocked, or is being replaced.',
    advice: 'Use the key that ends in `replacedBy`. Your license administrator can look it up.',
    example: 'The key ending in 7CQ4H is blocked. Use the key ending in MR2VX, which replaced it.',
  },
  'product-not-covered': {
    members: {
      covers: z.array(z.enum(products)).readonly().describe('The products that the key or the agreement covers.'),
    },
    when: 'The key or the agreement does not cover the product.',
    advice: 'Use the key for the group of this product, or request one.',
    example:
      'The key ending in 7CQ4H does not cover Windows Web Server 2008. It covers Windows Vista Business, Windows Vista Enterprise. Use another key for this product.',
  },
  'unknown-key': {
    members: {},
    when: 'This product key was never issued.',
    advice: 'Check each of the 25 characters.',
    example:
      'This product key was never issued. Check its 25 characters. A key never has 0, 1, 5, A, E, I, L, N, O, S, U, or Z.',
  },
  'invalid-installation-id': {
    members: {
      groups: z
        .array(z.int().min(1).max(9))
        .readonly()
        .describe('The numbers of the wrong groups, starting at 1. Empty if the ID does not have 54 digits.'),
    },
    when: 'The installation ID does not have 54 digits, or a check digit is wrong.',
    advice: 'Read only these groups again.',
    example: 'There is a mistake in group 4 of the installation id. Read it from the machine again.',
  },
  'activation-limit-reached': {
    members: { limit: z.int().min(0), used: z.int().min(0), remedies: z.array(remedy).readonly() },
    when: 'All activations of a MAK, all host slots of a KMS key, or all uses of a KMS host are used up.',
    advice: 'Use one of the `remedies`. Each says whether it is available now.',
    example:
      'All 50 activations of the key ending in 7CQ4H are used. Ask the call center to add up to 50, or submit a MAKADD request for more.',
  },
  'override-used-today': {
    members: { availableAt: instant },
    when: 'The key got its override for today, in the time zone of the call center.',
    advice: 'Call again at `availableAt` or later.',
    example:
      'This key has already had its override for today. You can grant the next one from 2027-03-02T08:00:00.000Z.',
  },
  'overrides-exhausted': {
    members: { draft: exceptionDraft },
    when: 'The key got all of its overrides.',
    advice: 'Complete `draft`, and submit it as a KMSADD request.',
    example: 'This key has used all 5 of its overrides. To get more, submit a KMSADD request.',
  },
  'above-call-center-limit': {
    members: { maximumLimit: z.int().min(0), draft: exceptionDraft },
    when: 'The new limit is above the maximum that the call center can grant.',
    advice: 'Ask for at most `maximumLimit`, or complete `draft` and submit it as a MAKADD request.',
    example: 'The call center can raise this key to at most 100. For a higher limit, submit a MAKADD request.',
  },
  'limit-not-raised': {
    members: { limit: z.int().min(0) },
    when: 'The new limit is not above the current limit.',
    advice: 'Ask for a limit above `limit`.',
    example: 'The limit is already 100. Enter a new limit above 100.',
  },
  'requester-not-authorized': {
    members: {},
    when: 'You have no such agreement, or the requester is not on its Authorized Contact List.',
    advice:
      'Check the agreement number and the name and email of the requester, or ask a listed contact to submit the request.',
    example:
      'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.',
  },
  'key-not-found': {
    members: {},
    when: 'No key of the agreement ends in these five characters.',
    advice: 'Look up the last five characters in the keys of the agreement.',
    example:
      'This agreement has no key that ends in QX4TR. Check the last five characters in the list of the agreement’s keys.',
  },
  'not-an-exception': {
    members: { remedies: z.array(remedy).readonly() },
    when: 'The call center can grant the requested number.',
    advice: 'Call the call center, and ask for the remedy in `remedies`.',
    example:
      'The call center can raise the limit of this key to 100, which is 50 more. Call the call center and ask for 20 more.',
  },
  'exception-already-open': {
    members: { exceptionId },
    when: 'Another request for this key is open.',
    advice: 'Follow the request in `exceptionId`, or withdraw it first.',
    example:
      'Request EX-7KQ2-MW4R-H8TD is already open for the key ending in 7CQ4H. Follow that request, or withdraw it before you submit another.',
  },
  'not-in-that-state': {
    members: {
      currentStatus: z.enum(exceptionStatuses).describe('The status of the request.'),
      allowed: z.array(z.enum(manualTransitions)).readonly().describe('The transitions that are possible now.'),
    },
    when: 'The transition is not possible in the current status of the request.',
    advice: 'Read the request again. `currentStatus` is its status; `allowed` lists the possible transitions.',
    example: 'The request is fulfilled, so “withdraw” is not possible. It has ended and cannot be changed.',
  },
  'link-unknown': {
    members: {},
    when: 'This approval link was never sent.',
    advice: 'Copy the complete link. Email programs sometimes break long links.',
    example:
      'This link is not valid. Email programs sometimes split long links: copy the complete link into the address bar.',
  },
  'link-void': {
    members: { because: z.enum(['replaced', 'too-many-wrong-codes', 'late', 'closed']) },
    when: 'The link can no longer be used to decide.',
    advice: 'Look for a newer email about the same request. If there is none, you do not have to do anything.',
    example:
      'The request changed after we sent this email. If it still needs your decision, use the link in our latest email.',
  },
  'already-decided': {
    members: { decision: z.enum(['approve', 'deny']), decidedAt: instant },
    when: 'The approval round was already decided, with this link or by the deputy.',
    advice:
      'You do not have to do anything. If you did not make the decision, use the link “This was not me” in the email about it.',
    example: 'This request was already approved. Your answer changed nothing.',
  },
  'wrong-code': {
    members: { triesLeft: z.int().min(0) },
    when: 'The code is not the one in the email.',
    advice:
      'Enter the digits from the email with the link. After too many wrong codes the link is void, and a new one is emailed.',
    example: 'The code is not correct. Use the code that was sent for this link, and try again: 4 tries left.',
  },
  'too-many-requests': {
    members: {},
    when: 'The route gets more requests than it accepts.',
    advice: 'Wait for the number of seconds in `Retry-After`.',
    example: 'Too many requests for this route. Try again in a second.',
  },
  fault: {
    members: {},
    when: 'The service failed. The operators are notified.',
    advice: 'Try again later. If the error persists, report the request ID.',
    example:
      'The service failed, and the operators are notified. Try again later. If the error persists, report the request ID 1f0c9d52-4ff1-4a0f-9a53-1f54a3a1c7c2.',
  },
  busy: {
    members: {},
    when: 'Many other requests change the same thing at this moment. Nothing was changed.',
    advice:
      'Wait for the number of seconds in `Retry-After`, and send the request again, with the same `Idempotency-Key` if it had one.',
    example:
      'Many other requests change the same thing at this moment. Try again in a few seconds. With an Idempotency-Key, the request takes effect once.',
  },
} as const satisfies Readonly<
  {
    [Code in RefusalCode]: ProblemDoc & {
      readonly members: { readonly [Member in keyof RefusalMembers[Code]]: z.ZodType };
    };
  } & {
    [Code in ServiceProblemCode]: ProblemDoc;
  }
>;

/** All codes, refusals first. */
export const problemCodes = Object.keys(problemDocs) as readonly ProblemCode[];

/** Returns the usual status and the title of a code. */
export function problemHead(code: ProblemCode): { readonly status: number; readonly title: string } {
  return isServiceProblem(code) ? serviceProblems[code] : problems[code];
}

export function isServiceProblem(code: ProblemCode): code is ServiceProblemCode {
  return code in serviceProblems;
}

/** Returns the component name of a code in the OpenAPI document: `key-blocked` is `KeyBlockedProblem`. */
export function problemSchemaName(code: ProblemCode): string {
  const words = code.split('-').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
  return `${words.join('')}Problem`;
}

function createProblemSchema(code: ProblemCode) {
  return z
    .strictObject({
      type: z.literal(`urn:volume-activation:problem:${code}`),
      title: z.string().min(1),
      status: z.int().min(400).max(599),
      code: z.literal(code),
      detail: z.string().min(1).describe('A sentence for a person that says what to do next.'),
      ...problemDocs[code].members,
    })
    .meta({ id: problemSchemaName(code), description: problemDocs[code].when });
}

const problemSchemas = new Map(problemCodes.map((code) => [code, createProblemSchema(code)]));

/** Returns the schema of a code’s problem document. A route can use another status than the usual one. */
export function problemDocumentSchema(code: ProblemCode): ReturnType<typeof createProblemSchema> {
  const schema = problemSchemas.get(code);
  if (schema === undefined) throw new Error(`The code ${code} has no problem document.`);
  return schema;
}
