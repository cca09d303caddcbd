import type { Audience, Route } from '../../functions/manifest.ts';
import { allRoutes, needsToken } from '../../functions/manifest.ts';
import { installationId } from '../builders.ts';
import type { DescribedOperation } from '../openapi-conformance.ts';
import { bodyErrors, operationAt, queryErrors } from '../openapi-conformance.ts';
import type { Caller, Customer, FuzzSystem, KnownKey } from './fuzz-system.ts';
import { customerAt, member, pick, productFor } from './fuzz-system.ts';
import type { Draft, Mutation } from './request-arbitrary.ts';
import { Reference } from './request-arbitrary.ts';

// Turns a generated draft into a request: resolves its references, and determines what the response must be.

export type FuzzRequest = {
  readonly method: string;
  /** The path as it is sent, with its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
  readonly caller: Caller;
};

/** A condition for the status of a response, and the reason for it. */
export type Expectation = { readonly because: string; readonly allows: (status: number) => boolean };

const audienceByRoute: ReadonlyMap<string, readonly Audience[]> = new Map(
  allRoutes().map(({ route, audience }): [Route, readonly Audience[]] => [route, audience]),
);

type ResolutionContext = {
  readonly system: FuzzSystem;
  readonly draft: Draft;
  readonly customer: Customer;
  readonly key: KnownKey;
  /** Rises with each installation id of a request, so that the items of a batch differ. */
  computer: number;
};

/** The key type that an operation requires. It is usually sent for a key of that type. */
const typeFor: Readonly<Record<string, KnownKey['type']>> = {
  giveOverride: 'KMS',
  reportClients: 'KMS',
  raiseLimit: 'MAK',
};

/** The customer for changes that would lock the others out of their own agreements. */
const lastCustomer = 3;

function contextFor(system: FuzzSystem, draft: Draft, isForeign: boolean): ResolutionContext {
  const customer = customerAt(system, draft.customer + (isForeign ? 1 : 0));
  const usable = customer.keys.filter(({ status, productKey }) => status === 'live' && productKey !== undefined);
  const fitting = usable.filter(({ type }) => type === (typeFor[draft.operation.operation.operationId] ?? type));
  const keys = [fitting, usable, customer.keys].slice(draft.number % 10 === 0 ? 1 : 0).find((each) => each.length > 0);
  // Replacing a live key costs the state that earlier requests gave it. Usually, an already replaced key is chosen.
  const replaced = customer.keys.filter(({ status }) => status === 'blocked');
  const isReplacing = draft.operation.operation.operationId === 'replaceKey' && draft.number % 8 !== 0;
  const key = pick(isReplacing && replaced.length > 0 ? replaced : (keys ?? customer.keys), draft.number);
  return { system, draft, customer, key, computer: draft.computer };
}

/** Resolves the references of a draft and returns the request as it is sent. */
export function toRequest(draft: Draft, system: FuzzSystem): FuzzRequest {
  const context = contextFor(system, draft, false);
  const path = draft.operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const segment = draft.path[name] ?? '';
    return segment instanceof Reference ? encodeURIComponent(String(resolveReference(segment, context))) : segment;
  });
  const query = draft.query.map(([name, value]) => {
    const text = value instanceof Reference ? String(resolveReference(value, context)) : value;
    return `${name}=${encodeURIComponent(text)}`;
  });
  const method = draft.method ?? draft.operation.method;
  // A body of these methods has no defined meaning, and neither has the response to it (RFC 9110).
  const isBodyless = method === 'GET' || method === 'HEAD';
  const { bytes, type } = isBodyless ? { bytes: undefined, type: undefined } : bodyFrom(draft, context);
  const caller = callerFrom(draft, context);
  return {
    method,
    path: query.length === 0 ? path : `${path}?${query.join('&')}`,
    headers: {
      ...(type === undefined ? {} : { 'content-type': type }),
      ...(caller.token === undefined ? {} : { authorization: `Bearer ${caller.token}` }),
      ...(draft.operation.path.startsWith('/approvals') && draft.number % 2 === 0
        ? { accept: 'application/json' }
        : {}),
      ...draft.headers,
    },
    body: bytes,
    caller,
  };
}

function resolveReference(reference: Reference, context: ResolutionContext): unknown {
  const target = reference.isForeign
    ? { ...contextFor(context.system, context.draft, true), computer: context.computer }
    : context;
  const { system, draft, customer, key } = target;
  const link = customer.links.length > 0 ? pick(customer.links, draft.number) : { token: 'none', code: '000000' };
  switch (reference.name) {
    case 'agreementId':
      return customer.agreementId;
    case 'keyId':
      return key.keyId;
    case 'exceptionId':
      // The last requests are the most likely to be open.
      return customer.exceptionIds.at(-1 - (draft.number % 3)) ?? 'EX-2222-2222-2222';
    case 'token':
      return draft.operation.path.startsWith('/disputes')
        ? (customer.disputes.at(-1 - (draft.number % 3)) ?? 'none')
        : (customer.links.at(-1 - (draft.number % 3)) ?? link).token;
    case 'code':
      return (customer.links.at(-1 - (draft.number % 3)) ?? link).code;
    case 'cursor':
      return system.cursors.length > 0 ? pick(system.cursors, draft.number * 7 + draft.computer) : 'none';
    case 'lastFive':
    case 'keyLastFive':
      return key.lastFive;
    case 'productKey':
      return key.productKey ?? 'BCDFG-HJKMP-QRTVW-XY234-67892';
    case 'installationId': {
      context.computer += 1;
      const id: string = installationId(context.computer);
      return context.computer % 5 === 0 ? id.replaceAll(/(\d{6})(?=\d)/g, '$1-') : id;
    }
    case 'product':
      return productFor(key);
    case 'kind':
      return key.type === 'MAK' ? 'MAKADD' : 'KMSADD';
    case 'requester':
      return pick(customer.contacts, draft.number);
    case 'noticesCorrespondent':
      return customer.correspondent;
    case 'organizationName':
      return customer.organizationName;
    case 'activationsRequested':
      // More than the call center can grant, and little enough to skip the review.
      return key.type === 'KMS' ? 6 + (draft.number % 10) : 60 + draft.number * 3;
    case 'callReference':
      return `CALL-${draft.number}`;
    case 'newLimit':
      return 50 + draft.number;
    default:
      throw new Error(`There is no value for ${reference.name}.`);
  }
}

function resolveReferences(value: unknown, context: ResolutionContext): unknown {
  if (value instanceof Reference) return resolveReference(value, context);
  if (Array.isArray(value)) return value.map((each) => resolveReferences(each, context));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, resolveReferences(each, context)]));
}

function bodyFrom(draft: Draft, context: ResolutionContext): { bytes: Buffer | undefined; type: string | undefined } {
  const { body } = draft;
  switch (body.kind) {
    case 'none':
      return { bytes: undefined, type: undefined };
    case 'raw':
      return { bytes: Buffer.from(body.bytes), type: body.type };
    case 'generated': {
      const value = makeConsistent(resolveReferences(body.value, context), context);
      const locksOut = draft.operation.operation.operationId === 'changeContacts' && draft.customer !== lastCustomer;
      const finalValue = body.mutation === undefined || locksOut ? value : applyMutation(value, body.mutation);
      if (!body.asForm) return { bytes: Buffer.from(JSON.stringify(finalValue)), type: 'application/json' };
      const fields = Object.entries(fieldsOf(finalValue)).map(([name, each]): [string, string] => [name, String(each)]);
      const text = new URLSearchParams(fields).toString();
      return { bytes: Buffer.from(text), type: 'application/x-www-form-urlencoded' };
    }
  }
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? { ...value } : {};
}

/** Makes the members of a body consistent with each other, and keeps the contacts of most customers unchanged. */
function makeConsistent(value: unknown, { draft, customer }: ResolutionContext): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  const isUsual = draft.number % 8 !== 0;
  const { agreementNumber: _, authorizationNumber: __, licenseNumber: ___, ...rest } = fieldsOf(value);
  const mayChange = draft.customer === lastCustomer;
  switch (draft.operation.operation.operationId) {
    case 'registerAgreement':
      return consistentRegistration(value, customer, isUsual);
    case 'requestException':
      return isUsual ? { ...rest, ...customer.numbers } : value;
    case 'changeContacts':
      return mayChange || !Array.isArray(rest.contacts)
        ? value
        : { contacts: [...customer.contacts, ...rest.contacts.slice(0, 2)] };
    case 'nameCorrespondent':
      return mayChange ? value : { ...rest, email: customer.correspondent.email };
    default:
      return value;
  }
}

/** Returns a registration that lists each product once and leaves the id to the service. */
function consistentRegistration(value: object, customer: Customer, isUsual: boolean): unknown {
  const { agreementId: _, products, ...rest } = fieldsOf(value);
  if (!isUsual || !Array.isArray(products)) return value;
  const distinctProducts = [...new Map(products.map((entry) => [member(entry, 'product'), entry])).values()];
  return { ...rest, products: distinctProducts, noticesCorrespondent: customer.correspondent };
}

/** Returns the value with one change. */
function applyMutation(value: unknown, { kind, position, value: newValue }: Mutation): unknown {
  const path = pick(pathsIn(value), position);
  return changeAt(value, path, (current, name, parent) => {
    if (kind === 'drop') return undefined;
    if (kind === 'replace') return { [name]: newValue };
    if (kind === 'duplicate' && Array.isArray(parent)) return { [name]: current };
    return { [name]: current, [`${name}Too`]: newValue };
  });
}

type ValuePath = readonly string[];

function pathsIn(value: unknown): readonly ValuePath[] {
  if (typeof value !== 'object' || value === null) return [[]];
  const nestedPaths = Object.entries(value).flatMap(([name, each]) => pathsIn(each).map((path) => [name, ...path]));
  return [[], ...nestedPaths];
}

type ValueChange = (current: unknown, name: string, parent: unknown) => object | undefined;

function changeAt(value: unknown, [name, ...rest]: ValuePath, change: ValueChange): unknown {
  if (name === undefined) return member(change(value, 'body', undefined), 'body') ?? null;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).flatMap(([each, member]): [string, unknown][] => {
    if (each !== name) return [[each, member]];
    if (rest.length > 0) return [[each, changeAt(member, rest, change)]];
    return Object.entries(change(member, each, value) ?? {});
  });
  return Array.isArray(value) ? entries.map(([, member]) => member) : Object.fromEntries(entries);
}

function callerFrom(draft: Draft, { system, customer }: ResolutionContext): Caller {
  const { operation, caller, number } = draft;
  const signedIn = (person: { readonly email: string }): Caller => ({
    name: person.email,
    roles: [],
    token: system.tokens.get(person.email),
  });
  const audience = audienceByRoute.get(`${operation.method} ${operation.path}`) ?? [];
  const anonymous: Caller = { name: 'a caller without a token', roles: [], token: undefined };
  switch (caller.kind) {
    case 'permitted': {
      if (!needsToken(audience)) return anonymous;
      if (operation.operation.operationId === 'nameDeputy') return signedIn(customer.correspondent);
      const roles = audience.flatMap((each) =>
        each in system.staff ? [system.staff[each as keyof FuzzSystem['staff']]] : [],
      );
      const mayBeCustomer = audience.includes('customer') || audience.includes('signed-in');
      return roles.length > 0 && !(mayBeCustomer && number % 3 !== 0)
        ? pick(roles, number)
        : signedIn(pick(customer.contacts, number));
    }
    case 'staff':
      return system.staff[caller.role];
    case 'contact':
      return signedIn(pick(customer.contacts, number));
    case 'correspondent':
      return signedIn(customer.correspondent);
    case 'other-customer':
      return signedIn(pick(customerAt(system, draft.customer + 2).contacts, number));
    case 'outsider':
      return system.outsider;
    case 'unauthenticated':
      return pick(system.unauthenticated, caller.number);
  }
}

// ---- Expected responses

const isRefusal = (status: number) => status >= 400 && status < 500;

/** Returns the conditions for the response to a request, from the OpenAPI document and from the caller's rights. */
export function expectationsOf(request: FuzzRequest, draft: Draft, system: FuzzSystem): readonly Expectation[] {
  const described = operationAt(request.method, request.path);
  if (described === undefined) return [];
  const audience = audienceByRoute.get(`${described.method} ${described.path}`) ?? [];
  if (needsToken(audience) && isUnauthenticated(request.caller, system)) {
    return [{ because: 'the request has no valid token', allows: (status) => status === 401 }];
  }
  return [
    ...descriptionExpectations(request, described, audience),
    ...ownershipExpectations(request, draft, described, audience, system),
  ];
}

function isUnauthenticated(caller: Caller, system: FuzzSystem): boolean {
  return caller.token === undefined || system.unauthenticated.includes(caller);
}

function descriptionExpectations(
  request: FuzzRequest,
  described: DescribedOperation,
  audience: readonly Audience[],
): readonly Expectation[] {
  const { path, headers, body } = request;
  const [pathname = '', search = ''] = path.split('?');
  const segments = pathname.split('/').map((segment) => decodeURIComponent(segment));
  const key = headers['idempotency-key'];
  const hasInvalidKey =
    described.method === 'POST' && needsToken(audience) && key !== undefined && !/^[ -~]{1,255}$/.test(key);
  const errors = [
    ...queryErrors(described, new URLSearchParams(search)),
    ...describedBodyErrors(described, body ?? Buffer.alloc(0), headers['content-type'] ?? ''),
    ...(hasInvalidKey ? ['the Idempotency-Key is invalid'] : []),
    ...(segments.some((segment) => segment.length > 200) ? ['an id is too long'] : []),
  ];
  return errors.map((error) => ({ because: `the OpenAPI document forbids it: ${error}`, allows: isRefusal }));
}

function describedBodyErrors(described: DescribedOperation, body: Buffer, type: string): readonly string[] {
  const content = described.operation.requestBody?.content ?? {};
  if (!('application/json' in content)) return [];
  if (body.length > 64 * 1024) return ['the body is too large'];
  const acceptsForm = 'application/x-www-form-urlencoded' in content;
  if (type.startsWith('application/x-www-form-urlencoded') && acceptsForm) {
    return bodyErrors(described, Object.fromEntries(new URLSearchParams(body.toString('utf8'))));
  }
  const text = body.toString('utf8');
  if (text.trim() === '' && !acceptsForm) return bodyErrors(described, {});
  if (!/^application\/(json|[\w.-]+\+json)\s*(;|$)/i.test(type)) return ['the body has another media type'];
  try {
    return bodyErrors(described, JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)));
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return ['the body is not JSON in UTF-8'];
    throw error;
  }
}

/** AGR-3: data of another customer seems not to exist, and a caller needs the role that a route requires. */
function ownershipExpectations(
  { caller }: FuzzRequest,
  draft: Draft,
  described: DescribedOperation,
  audience: readonly Audience[],
  system: FuzzSystem,
): readonly Expectation[] {
  if (!needsToken(audience) || audience.includes('signed-in')) return [];
  const isForStaff = !audience.includes('customer');
  if (caller.roles.length > 0) {
    const hasRole = caller.roles.some((role) => audience.includes(role));
    return hasRole ? [] : [{ because: 'the caller has another role', allows: isRefusal }];
  }
  if (isForStaff) return [{ because: 'the route is for staff', allows: (status) => status === 403 }];
  const references = Object.values(draft.path);
  const owner = customerAt(system, draft.customer);
  const isOwner = [...owner.contacts, owner.correspondent].some(({ email }) => email === caller.name);
  const isKnown =
    draft.method === undefined &&
    references.length > 0 &&
    references.every((each) => each instanceof Reference && !each.isForeign);
  return isKnown && !isOwner && described === draft.operation
    ? [{ because: 'it belongs to another customer', allows: (status) => isRefusal(status) && status !== 403 }]
    : [];
}

// ---- Reproducing a request

/** Returns a shell command that sends the request again, with the caller's token in `$TOKEN`. */
export function curlOf({ method, path, headers, body, caller }: FuzzRequest): string {
  const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;
  const otherHeaders = Object.entries(headers).filter(([name]) => name !== 'authorization');
  const text = body?.toString('utf8') ?? '';
  const isText = body !== undefined && Buffer.from(text, 'utf8').equals(body) && !/[^\P{Cc}\n\r\t]/u.test(text);
  return [
    ...(caller.token === undefined
      ? []
      : [`# TOKEN is the token of ${caller.name}${caller.roles.length > 0 ? ` (${caller.roles})` : ''}`]),
    `curl -i --path-as-is -X ${method} "$API"${quoted(path)}`,
    ...(caller.token === undefined ? [] : ['  -H "Authorization: Bearer $TOKEN"']),
    ...otherHeaders.map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)}`),
    ...(body === undefined
      ? []
      : isText
        ? [`  --data-binary ${quoted(text.length > 2_000 ? `${text.slice(0, 2_000)}…` : text)}`]
        : [`  --data-binary @<(base64 -d <<< ${body.toString('base64')})`]),
  ]
    .join(' \\\n')
    .replace(/^(#.*) \\\n/, '$1\n');
}
