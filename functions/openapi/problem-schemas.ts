import * as z from 'zod';
import { products } from '../../domain/catalog.ts';
import { exceptionStatuses, transitions } from '../../domain/exception-status.ts';
import type { RefusalCode, RefusalMembers } from '../../domain/refusal.ts';
import { problems } from '../http/problems.ts';
import { exceptionDraft, exceptionId, instant, keyId, lastFive, remedy } from '../http/response-schemas.ts';

/*
 * The problem documents (RFC 9457) that callers get in place of an answer, one for each code: what it carries beside the
 * members that all have, and what to do about it. The published description and the table of errors are made of this.
 */

/** What no rule refuses: the gateway's throttling, and our own trouble. */
const serviceProblems = {
  'too-many-requests': { status: 429, title: 'Too many requests' },
  fault: { status: 500, title: 'Something went wrong on our side' },
  busy: { status: 503, title: 'Too busy just now' },
} as const;

export type ServiceProblemCode = keyof typeof serviceProblems;
export type ProblemCode = RefusalCode | ServiceProblemCode;

type ProblemDoc = {
  /** The members that documents of this code have beside `type`, `title`, `status`, `code` and `detail`. */
  readonly members: z.ZodRawShape;
  /** When it is answered, in a sentence. */
  readonly when: string;
  /** What the caller does about it. */
  readonly advice: string;
  /** The `detail` of one such document, as a person got it. */
  readonly example: string;
};

const fieldError = z
  .strictObject({
    pointer: z.string().describe('A JSON pointer into the body; `/query/…` and `/headers/…` for what came there.'),
    message: z.string().min(1),
  })
  .meta({ id: 'FieldError', description: 'One field that is missing or wrong.' });

export const problemDocs = {
  'invalid-request': {
    members: { errors: z.array(fieldError).min(1).readonly() },
    when: 'A field, a query parameter or a header is missing, unknown or wrong.',
    advice:
      'Correct every field that `errors` names: it names all of them at once (the first hundred). Then send again.',
    example: 'Correct these and send it again: /requester/email, /requiredDate.',
  },
  'malformed-json': {
    members: {},
    when: 'The body is not JSON in UTF-8, or an object in it names a field twice.',
    advice: 'Build the body with a JSON library and look for quotes, commas and brackets.',
    example: 'The body is not well-formed JSON. Check quotes, commas and brackets.',
  },
  'unsupported-media-type': {
    members: {},
    when: 'The body came under another media type than those that the route takes.',
    advice: 'Send JSON with `Content-Type: application/json`; an approval’s decision may also come as a form.',
    example: 'Send the body as JSON, with “Content-Type: application/json”.',
  },
  'too-large': {
    members: {},
    when: 'The body has more than 64 KB.',
    advice: 'Send less at once: of a long list, several requests.',
    example: 'A body may have 65536 bytes at most; this has 70211.',
  },
  unauthenticated: {
    members: {},
    when: 'There is no token, or it is not good: expired, changed, or of another issuer.',
    advice: 'Sign in again and send `Authorization: Bearer …`.',
    example: 'Sign in and send the token as “Authorization: Bearer …”.',
  },
  forbidden: {
    members: {},
    when: 'You are signed in, and may not do this.',
    advice: 'Ask an administrator for the role, or a contact on the Authorized Contact List to do it.',
    example: 'This is for call-center only; ask an administrator for the role if you need it.',
  },
  'not-found': {
    members: {},
    when: 'Nothing is there, or nothing that you may see. The answer does not say which of the two.',
    advice: 'Check the id in the address, and with whose account you are signed in.',
    example: 'There is no such key, or it is not yours to see. Check the id in the address.',
  },
  'idempotency-key-reused': {
    members: {},
    when: 'The `Idempotency-Key` came with another request within the last 24 hours.',
    advice: 'Take a new key for each new request; only a repetition has the key of the first.',
    example: 'This idempotency key came with another request before. Take a new key.',
  },
  'request-in-progress': {
    members: {},
    when: 'A request with this `Idempotency-Key` is still running.',
    advice: 'Wait a moment and send it again with the same key: you get the answer of the first.',
    example: 'The same request still runs. Ask again in a moment with the same key.',
  },
  'agreement-exists': {
    members: { agreementId: z.string().min(1) },
    when: 'An agreement with these numbers is registered.',
    advice: 'Change that one, or check the numbers.',
    example: 'Agreement V4407182 is registered already. Change it instead.',
  },
  'mak-already-issued': {
    members: { keyId },
    when: 'The agreement has a live MAK for this product group.',
    advice: 'Use the key that `keyId` names, or have its limit raised.',
    example: 'The agreement has a MAK for client already, ending in 7CQ4H. Use that, or have its limit raised.',
  },
  'wrong-key-type': {
    members: {},
    when: 'What was asked for is for the other type of key.',
    advice: 'A MAK gets increases and MAKADD, a KMS key overrides and KMSADD.',
    example: 'Overrides are for KMS keys. The limit of a MAK can be increased instead.',
  },
  'key-blocked': {
    members: { replacedBy: lastFive.nullable().describe('The last five of the key that took its place, if one did.') },
    when: 'The key is blocked, or is being replaced.',
    advice: 'Use the key that ends in `replacedBy`; your license administrator can see it.',
    example: 'The key ending in 7CQ4H is blocked. Use the key ending in MR2VX, which replaced it.',
  },
  'product-not-covered': {
    members: { covers: z.array(z.enum(products)).readonly().describe('What the key, or the agreement, does cover.') },
    when: 'The product is not in the group that the key, or the agreement, covers.',
    advice: 'Use the key for this product’s group, or ask for one.',
    example:
      'The key ending in 7CQ4H does not cover Windows Web Server 2008. It covers Windows Vista Business, Windows Vista Enterprise.',
  },
  'unknown-key': {
    members: {},
    when: 'No such product key was ever issued.',
    advice: 'Check each of its 25 symbols.',
    example:
      'No key like this was ever issued. Check each of its 25 symbols; a key has no 0, 1, 5, A, E, I, L, N, O, S, U or Z.',
  },
  'invalid-installation-id': {
    members: {
      groups: z
        .array(z.int().min(1).max(9))
        .readonly()
        .describe('The groups that have a mistake, counted from 1; empty when it is not 54 digits at all.'),
    },
    when: 'The installation id is not 54 digits, or a check digit is wrong.',
    advice: 'Have just the named groups read again.',
    example: 'There is a mistake in group 4 of the installation id. Read it again.',
  },
  'activation-limit-reached': {
    members: { limit: z.int().min(0), used: z.int().min(0), remedies: z.array(remedy).readonly() },
    when: 'All activations of a MAK, all places of a KMS key or all uses of a KMS host are used.',
    advice: 'Take one of the `remedies`: each says whether it is open now, and what for.',
    example:
      'All 50 activations of the key ending in 7CQ4H are used. Call the activation call centre, which can add up to 50, or ask for more by a MAKADD request.',
  },
  'override-used-today': {
    members: { availableAt: instant },
    when: 'The key has had its override of the call centre’s day.',
    advice: 'Call again from `availableAt` on.',
    example: 'This key has had its override of today. The next can be given from 2027-03-02T08:00:00.000Z on.',
  },
  'overrides-exhausted': {
    members: { draft: exceptionDraft },
    when: 'The key has had all of its overrides.',
    advice: 'Complete `draft` and send it as a KMSADD request.',
    example: 'This key has had all of its 5 overrides. For more, send a KMSADD request.',
  },
  'above-call-center-limit': {
    members: { maximumLimit: z.int().min(0), draft: exceptionDraft },
    when: 'The new limit is above what the call centre may give.',
    advice: 'Ask for `maximumLimit` at most, or complete `draft` and send it as a MAKADD request.',
    example: 'By phone this key can be raised to 100 at most. For more, send a MAKADD request.',
  },
  'limit-not-raised': {
    members: { limit: z.int().min(0) },
    when: 'The new limit is not above today’s.',
    advice: 'Ask for a limit above `limit`.',
    example: 'The limit is 100 already. Ask for a new limit above that.',
  },
  'requester-not-authorized': {
    members: {},
    when: 'There is no such agreement that you may speak for, or its Authorized Contact List does not have the requester.',
    advice: 'Check the agreement’s numbers and the requester’s name and e-mail, or let a listed contact ask.',
    example:
      'The requester’s name and email are not on the Authorized Contact List of this agreement. Check the agreement number and the requester’s details, or ask a listed contact to submit the request.',
  },
  'key-not-found': {
    members: {},
    when: 'No key of the agreement has these last five.',
    advice: 'Look up the last five under the agreement’s keys.',
    example: 'No key of this agreement ends in QX4TR. Look up the last five under the agreement’s keys.',
  },
  'not-an-exception': {
    members: { remedies: z.array(remedy).readonly() },
    when: 'The call centre can give what was asked for.',
    advice: 'Call it, and ask for what `remedies` names.',
    example: 'The call centre can raise this key to 100 during a call, which is 50 more. Ask there for 20 more.',
  },
  'exception-already-open': {
    members: { exceptionId },
    when: 'A request for this key is open.',
    advice: 'Follow the one that `exceptionId` names, or withdraw it first.',
    example:
      'Request EX-7KQ2-MW4R-H8TD is already open for the key ending in 7CQ4H. Follow that request, or withdraw it before you submit another.',
  },
  'not-in-that-state': {
    members: {
      status: z
        .enum(exceptionStatuses)
        .describe('The state of the request. In this document alone it is not the number.'),
      allowed: z.array(z.enum(transitions)).readonly().describe('What people can do to the request now.'),
    },
    when: 'The request is in a state from which this does not lead on.',
    advice: 'Read the request again: `status` says where it is, `allowed` what can be done now.',
    example: 'The request is fulfilled, so “withdraw” is not possible. It has ended and cannot be changed.',
  },
  'link-unknown': {
    members: {},
    when: 'No such approval link was ever mailed.',
    advice: 'Copy the whole link: mail programs sometimes cut long ones in two.',
    example:
      'We do not know this link. Mail programs sometimes cut long links in two: copy all of it into the address bar.',
  },
  'link-void': {
    members: { because: z.enum(['replaced', 'too-many-wrong-codes', 'late', 'closed']) },
    when: 'The link decides nothing any more.',
    advice: 'Look for a newer mail about the same request; if there is none, nothing is needed.',
    example:
      'The request changed after we sent this email. If it still needs your decision, use the link in our latest email.',
  },
  'already-decided': {
    members: { decision: z.enum(['approve', 'deny']), decidedAt: instant },
    when: 'The question was decided, by this link or by the deputy’s.',
    advice: 'Nothing. If the decision was not yours, use the link “this was not me” in the mail about it.',
    example: 'This request was already approved. Your answer changed nothing.',
  },
  'wrong-code': {
    members: { triesLeft: z.int().min(0) },
    when: 'The code is not the one from the mail.',
    advice:
      'Type the digits from the same mail as the link. After too many wrong ones the link is void and a new one is mailed.',
    example: 'This is not the code from our mail. You can try 4 more times.',
  },
  'too-many-requests': {
    members: {},
    when: 'More requests come than the route takes.',
    advice: 'Wait as many seconds as `Retry-After` says.',
    example: 'More requests come than this route takes. Try again in a second.',
  },
  fault: {
    members: {},
    when: 'Something is wrong on our side. It has been reported.',
    advice: 'Try again later; if it stays, tell us the request id.',
    example:
      'It is not your fault, and it has been reported. Try again later; if it stays, tell us this request id: 1f0c9d52-4ff1-4a0f-9a53-1f54a3a1c7c2.',
  },
  busy: {
    members: {},
    when: 'Many others change the same thing at this moment. Nothing was done.',
    advice:
      'Wait as many seconds as `Retry-After` says and send it again, with the same `Idempotency-Key` if it had one.',
    example: 'Many others change the same thing at this moment. Nothing was done; try again in a few seconds.',
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

/** Every code, those of refusals first. */
export const problemCodes = Object.keys(problemDocs) as readonly ProblemCode[];

/** What all documents of a code have in common: their usual status and their title. */
export function problemHead(code: ProblemCode): { readonly status: number; readonly title: string } {
  return isServiceProblem(code) ? serviceProblems[code] : problems[code];
}

export function isServiceProblem(code: ProblemCode): code is ServiceProblemCode {
  return code in serviceProblems;
}

/** The name of a code's document among the components of the description: `key-blocked` is `KeyBlockedProblem`. */
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
      detail: z.string().min(1).describe('A sentence for a person, saying what to do next.'),
      ...problemDocs[code].members,
    })
    .meta({ id: problemSchemaName(code), description: problemDocs[code].when });
}

const problemSchemas = new Map(problemCodes.map((code) => [code, createProblemSchema(code)]));

/** The whole document of a code. Its status may differ where a route answers the code in another way. */
export function problemDocumentSchema(code: ProblemCode): ReturnType<typeof createProblemSchema> {
  const schema = problemSchemas.get(code);
  if (schema === undefined) throw new Error(`The code ${code} has no document.`);
  return schema;
}
