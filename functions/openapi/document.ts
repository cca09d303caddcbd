import * as z from 'zod';
import { programs } from '../../domain/catalog.ts';
import { isPageRoute } from '../http/parse-request.ts';
import { problemType } from '../http/problems.ts';
import { bodies, queries } from '../http/request-schemas.ts';
import type { Audience, Route } from '../manifest.ts';
import { allRoutes, needsToken, staffRoles } from '../manifest.ts';
import { exampleOf } from './examples.ts';
import type { OperationDoc } from './operations.ts';
import { operationDocs } from './operations.ts';
import type { ProblemCode } from './problem-schemas.ts';
import { problemDocs, problemDocumentSchema, problemHead, problemSchemaName } from './problem-schemas.ts';

/*
 * The OpenAPI 3.1 document of the API, generated from the manifest, the schemas of requests and responses, and the
 * documentation of the operations. It is generated on request; only the Lambda that serves it imports this.
 */

/** A JSON Schema of draft 2020-12, as in OpenAPI 3.1. */
export type Schema = z.core.JSONSchema.BaseSchema;

export type Ref = { readonly $ref: string };
export type MediaType = {
  readonly schema: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly summary: string; readonly value: unknown }>>;
};
export type Content = Readonly<Record<string, MediaType>>;
export type Parameter = {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required: boolean;
  readonly description: string;
  readonly schema: Schema;
  readonly example?: unknown;
};
export type Response = {
  readonly description: string;
  readonly headers: Readonly<Record<string, Ref>>;
  readonly content?: Content;
};
export type Operation = {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly (Parameter | Ref)[];
  readonly requestBody?: { readonly required: boolean; readonly content: Content };
  readonly responses: Readonly<Record<string, Response | Ref>>;
};
export type OpenApi = {
  readonly openapi: string;
  readonly info: {
    readonly title: string;
    readonly version: string;
    readonly summary: string;
    readonly description: string;
    readonly license: { readonly name: string; readonly identifier: string };
  };
  readonly servers: readonly { readonly url: string; readonly description: string }[];
  readonly tags: readonly { readonly name: string; readonly description: string }[];
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly responses: Readonly<Record<string, Response>>;
    readonly parameters: Readonly<Record<string, Parameter>>;
    readonly headers: Readonly<
      Record<string, { readonly description: string; readonly required: boolean; readonly schema: Schema }>
    >;
    readonly securitySchemes: Readonly<Record<string, Readonly<Record<string, string>>>>;
  };
};

/** The version of the contract. A breaking change increments the first number. */
const version = '1.0.0';

const tags = {
  device: {
    name: 'Devices',
    description: 'For machines that activate. They send no token; the product key in the body is the credential.',
  },
  customer: {
    name: 'Customers',
    description:
      'For the contacts and the Notices Correspondent of an agreement, identified by the email address of the token, and for staff with the roles of each route.',
  },
  'call-center': { name: 'Call center', description: 'For call-center agents: key search and grants by phone.' },
  'exceptions-team': { name: 'Exceptions team', description: 'For the exceptions team: review of exception requests.' },
  'licensing-admins': {
    name: 'Licensing administrators',
    description: 'For licensing admins: agreements and their people.',
  },
  'link-holder': {
    name: 'Links in emails',
    description:
      'For the recipient of an email, such as the Notices Correspondent. The token in the path is the credential. The response is a page, or JSON with `Accept: application/json`.',
  },
  anyone: { name: 'Service', description: 'For everybody.' },
} as const;

const audienceDescriptions: Readonly<Record<Audience, string>> = {
  device: 'devices',
  customer: 'customers',
  'signed-in': 'everybody who is signed in',
  'call-center': '`call-center`',
  'exceptions-team': '`exceptions-team`',
  'licensing-admins': '`licensing-admins`',
  'link-holder': 'the holder of the link',
  anyone: 'anyone',
};

const introduction = `
Issues volume license keys, counts what they activate, and raises their limits when the rules and the customer's Notices Correspondent say so.

## Conventions
- JSON in and out. Instants are UTC with \`Z\`, dates are \`YYYY-MM-DD\`. Unknown fields in a request are refused. Responses can gain members; ignore the ones you do not recognize.
- Strings are trimmed, and product keys are case-insensitive. The limits below apply after that.
- A POST that needs no field takes \`{}\` or no body.
- Lists return \`{ "items": […], "nextCursor": … }\`. Request the next page with the cursor and the same parameters. On the last page, it is null.
- Every error is a problem document (RFC 9457, \`application/problem+json\`). Programs use its \`code\`; \`detail\` is a sentence for a person that says what to do next.
- Every response has \`X-Request-Id\`. Include it when you report a problem.
- \`429\` and \`503\` have \`Retry-After\`, in seconds. \`405\` has \`Allow\`, with the methods of the address.
- On AWS, API Gateway itself returns \`401\` and \`429\`, with the body \`{ "message": … }\` and without these headers. Rely on the status.

## Safe retries
Send an \`Idempotency-Key\` with a POST. If you get no response, send the same request with the same key again: it takes effect once, and you get the first response. Keys expire after 24 hours.

## Authentication
Send \`Authorization: Bearer …\` with a JWT of the user pool. Its \`email\` is the email address of the caller, and its \`cognito:groups\` are the staff roles. A caller without a role is a customer. The response for a thing that the caller cannot see is the same as for one that does not exist.
`.trim();

const requestId = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
const retryAfter = { ...requestId, 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

/**
 * Generates the document.
 * @param closed Also forbids members of responses that are not described. This is true of this version, but no promise to
 * callers, so only tests use it.
 */
export function openApiDocument({ closed = false }: { readonly closed?: boolean } = {}): OpenApi {
  const schemas = new Map<string, Schema>();
  const responses = new Map<string, Response>();
  const context = { schemas, responses, closed };
  const paths: Record<string, Record<string, Operation>> = {};
  for (const { route, audience } of allRoutes()) {
    const { method, path } = splitRoute(route);
    const operations = paths[path] ?? {};
    operations[method.toLowerCase()] = describeOperation(route, audience, context);
    paths[path] = operations;
  }
  const usedTags = new Set(
    Object.values(paths).flatMap((operations) => Object.values(operations).flatMap((each) => each.tags)),
  );
  return {
    openapi: '3.1.1',
    info: {
      title: 'Volume Activation',
      version,
      summary: 'Volume license keys, their activations, and requests for higher limits.',
      description: introduction,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The service that returned this document.' }],
    tags: Object.values(tags).filter(({ name }) => usedTags.has(name)),
    paths,
    components: {
      schemas: Object.fromEntries(sortByName(schemas)),
      responses: Object.fromEntries(sortByName(responses)),
      parameters: {
        IdempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          required: false,
          description: 'Makes retries safe: the same request with the same key takes effect once.',
          schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[ -~]+$' },
          example: '0b9f4f5e-6f0e-4a3c-8a52-5d3a2f0c9d11',
        },
      },
      headers: {
        RequestId: {
          description: 'Identifies the request in the logs.',
          required: false,
          schema: { type: 'string', minLength: 1 },
        },
        RetryAfter: {
          description: 'The number of seconds to wait before a retry.',
          required: false,
          schema: { type: 'integer', minimum: 1 },
        },
      },
      securitySchemes: {
        signIn: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A token of the user pool. `email` is the caller, and `cognito:groups` the staff roles.',
        },
      },
    },
  };
}

/** Returns the method and path of a route, and the names of its path parameters. */
export function splitRoute(route: Route): {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly string[];
} {
  const [method = '', path = ''] = route.split(' ');
  return { method, path, parameters: [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? []) };
}

type DocumentContext = {
  readonly schemas: Map<string, Schema>;
  readonly responses: Map<string, Response>;
  readonly closed: boolean;
};

function describeOperation(route: Route, audience: readonly Audience[], context: DocumentContext): Operation {
  const { operationId, summary, notes, responses }: OperationDoc = operationDocs[route];
  const parameters = parametersOf(route, audience, context);
  const body = requestBodyOf(route, context);
  const callerNames = audience.map((each) => audienceDescriptions[each]).join(', ');
  const responseEntries = Object.entries(responses).map(
    ([status, response]) => [status, describeResponse(route, response, context)] as const,
  );
  const refusals = [...problemCodesOf(route, audience)].map(
    ([status, codes]) => [String(status), problemResponseOf(route, status, codes, context)] as const,
  );
  return {
    operationId,
    tags: [tagOf(audience)],
    summary,
    description: [...(notes === undefined ? [] : [notes]), `Called by: ${callerNames}.`].join('\n\n'),
    security: needsToken(audience) ? [{ signIn: [] }] : [],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: Object.fromEntries([...responseEntries, ...refusals]),
  };
}

function tagOf(audience: readonly Audience[]): string {
  if (audience.includes('signed-in')) return tags.customer.name;
  const primaryAudience = (['device', 'customer', 'link-holder', 'anyone', ...staffRoles] as const).find((each) =>
    audience.includes(each),
  );
  return tags[primaryAudience ?? 'anyone'].name;
}

// ---- Requests

const parameterDescriptions: Readonly<Record<string, string>> = {
  agreementId: 'The agreement number; for Open, `<authorizationNumber>-<licenseNumber>`.',
  keyId: 'The ID of the key, as in every list of keys. Not the product key.',
  exceptionId: 'The ID of the request.',
  token: 'The token of the link.',
  limit: 'The maximum number of items.',
  cursor: 'The `nextCursor` of the previous page.',
  lastFive: 'The last five characters of the product key.',
  status: 'Only requests with this status; `open` selects all that are not final.',
};

function parametersOf(
  route: Route,
  audience: readonly Audience[],
  context: DocumentContext,
): readonly (Parameter | Ref)[] {
  const { method, parameters } = splitRoute(route);
  const inPath = parameters.map(
    (name): Parameter => ({
      name,
      in: 'path',
      required: true,
      description: parameterDescriptions[name] ?? name,
      schema: { type: 'string', minLength: 1, maxLength: 200 },
      example: exampleOf({ type: 'string' }, {}, [name]),
    }),
  );
  const inQuery = Object.entries(querySchemaOf(route, context)).map(
    ([name, schema]): Parameter => ({
      name,
      in: 'query',
      required: false,
      description: parameterDescriptions[name] ?? name,
      schema,
      ...(name === 'cursor' ? {} : { example: exampleOf(schema, {}, ['Query', name]) }),
    }),
  );
  const acceptsIdempotencyKey = method === 'POST' && needsToken(audience);
  return [
    ...inPath,
    ...inQuery,
    ...(acceptsIdempotencyKey ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : []),
  ];
}

/** Returns the query parameters of a route. A parameter that is parsed as a number is described as a number. */
function querySchemaOf(route: Route, context: DocumentContext): Readonly<Record<string, Schema>> {
  const query = (queries as Partial<Record<Route, z.ZodType>>)[route];
  if (query === undefined) return {};
  const inputProperties = propertiesOf(jsonSchemaOf(query, 'input', context));
  const outputProperties = propertiesOf(jsonSchemaOf(query, 'output', context));
  return Object.fromEntries(
    Object.entries(inputProperties).map(([name, schema]) => {
      const outputSchema = outputProperties[name];
      return [name, outputSchema?.type === 'integer' ? outputSchema : schema];
    }),
  );
}

function propertiesOf({ properties = {} }: Schema): Readonly<Record<string, Schema>> {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, schema]) => (typeof schema === 'object' ? [[name, schema]] : [])),
  );
}

function requestBodyOf(route: Route, context: DocumentContext): Operation['requestBody'] {
  const { form }: OperationDoc = operationDocs[route];
  const body = (bodies as Partial<Record<Route, z.ZodType>>)[route] ?? form;
  if (body === undefined) return undefined;
  const schema = jsonSchemaOf(body, 'input', context);
  const media = { schema, example: exampleOf(schema, Object.fromEntries(context.schemas), [`to ${route}`]) };
  const content =
    form === undefined
      ? { 'application/json': media }
      : { 'application/x-www-form-urlencoded': media, 'application/json': media };
  return { required: !body.safeParse({}).success, content };
}

// ---- Responses

function describeResponse(
  route: Route,
  { description, json, page }: OperationDoc['responses'][number],
  context: DocumentContext,
): Response {
  const schema = json === undefined ? undefined : jsonSchemaOf(json, 'output', context);
  const content: Content = {
    ...(schema === undefined
      ? {}
      : {
          'application/json': {
            schema,
            example: exampleOf(schema, Object.fromEntries(context.schemas), [`from ${route}`]),
          },
        }),
    ...(page ? htmlContent : {}),
  };
  return { description, headers: requestId, ...(Object.keys(content).length > 0 ? { content } : {}) };
}

const htmlContent: Content = { 'text/html': { schema: { type: 'string' } } };

/** Returns the problem codes of a route by status: those that follow from its shape, and its own. */
export function problemCodesOf(
  route: Route,
  audience: readonly Audience[],
): ReadonlyMap<number, readonly ProblemCode[]> {
  const { refusals = {} }: OperationDoc = operationDocs[route];
  const byStatus = new Map<number, Set<ProblemCode>>();
  const add = (code: ProblemCode, status: number) =>
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  for (const code of sharedProblemCodes(route, audience)) add(code, problemHead(code).status);
  for (const [code, status] of Object.entries(refusals)) {
    const refusalCode = code as keyof typeof refusals;
    add(refusalCode, typeof status === 'number' ? status : problemHead(refusalCode).status);
  }
  return new Map(
    [...byStatus].map(([status, codes]) => [status, [...codes]] as const).toSorted(([one], [other]) => one - other),
  );
}

function sharedProblemCodes(route: Route, audience: readonly Audience[]): readonly ProblemCode[] {
  const { method, parameters } = splitRoute(route);
  const needsSignIn = needsToken(audience);
  const takesBody = route in bodies;
  const acceptsIdempotencyKey = needsSignIn && method === 'POST';
  const isOpenToAll =
    audience.includes('signed-in') || ['customer', ...staffRoles].every((each) => audience.includes(each as Audience));
  const rules: readonly (readonly [boolean, readonly ProblemCode[]])[] = [
    [needsSignIn, ['unauthenticated']],
    [needsSignIn && !isOpenToAll, ['forbidden']],
    [parameters.length > 0, ['not-found']],
    [method !== 'GET', ['malformed-json', 'too-large']],
    [takesBody, ['unsupported-media-type']],
    // A JSON route refuses unknown query parameters, and pages ignore them.
    [!isPageRoute(route, audience), ['invalid-request']],
    [acceptsIdempotencyKey, ['idempotency-key-reused', 'request-in-progress']],
    [true, ['too-many-requests', 'fault', 'busy']],
  ];
  return rules.flatMap(([applies, codes]) => (applies ? codes : []));
}

/** The codes that are always problem documents, even on routes that refuse with pages. */
const jsonOnlyCodes: readonly ProblemCode[] = [
  'malformed-json',
  'unsupported-media-type',
  'too-large',
  'too-many-requests',
  'fault',
  'busy',
];

function problemResponseOf(
  route: Route,
  status: number,
  codes: readonly ProblemCode[],
  context: DocumentContext,
): Response | Ref {
  const { responses }: OperationDoc = operationDocs[route];
  const hasPages = Object.values(responses).some(({ page }) => page);
  const pages = hasPages && codes.some((code) => !jsonOnlyCodes.includes(code));
  const response: Response = {
    description: codes.map((code) => problemDocs[code].when).join(' '),
    headers: status === 429 || status === 503 ? retryAfter : requestId,
    content: {
      [problemType]: {
        schema: problemResponseSchema(codes, context),
        examples: Object.fromEntries(codes.map((code) => [code, problemExample(code, status, context)])),
      },
      ...(pages ? htmlContent : {}),
      // The local system has no such gateway, so tests must not accept this body.
      ...((status === 401 || status === 429) && !context.closed ? gatewayContent : {}),
    },
  };
  const [only] = codes;
  if (codes.length > 1 || only === undefined || pages || status !== problemHead(only).status) return response;
  const name = problemSchemaName(only).replace(/Problem$/, '');
  context.responses.set(name, response);
  return { $ref: `#/components/responses/${name}` };
}

const gatewayContent: Content = {
  'application/json': {
    schema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    example: { message: 'Unauthorized' },
  },
};

function problemResponseSchema(codes: readonly ProblemCode[], context: DocumentContext): Schema {
  const refs = codes.map((code) => jsonSchemaOf(problemDocumentSchema(code), 'output', context));
  const [only] = refs;
  if (refs.length === 1 && only !== undefined) return only;
  const mapping = Object.fromEntries(codes.map((code, index) => [code, refs[index]?.$ref]));
  return { oneOf: refs, discriminator: { propertyName: 'code', mapping } };
}

function problemExample(code: ProblemCode, status: number, { schemas }: DocumentContext) {
  const { title } = problemHead(code);
  const { members, example: detail } = problemDocs[code];
  const components = Object.fromEntries(schemas);
  const document = schemas.get(problemSchemaName(code)) ?? {};
  const exampleMembers = Object.entries(propertiesOf(document)).flatMap(([name, schema]) =>
    name in members ? [[name, exampleOf(schema, components, [problemSchemaName(code), name])] as const] : [],
  );
  const type = `urn:volume-activation:problem:${code}`;
  return { summary: title, value: { type, title, status, code, detail, ...Object.fromEntries(exampleMembers) } };
}

// ---- Schemas

/**
 * Returns the JSON Schema of a request (`input`) or a response (`output`). A named schema becomes a component. If a request
 * and a response share a name, the name for the request gets the suffix `Input`.
 */
function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output', { schemas, closed }: DocumentContext): Schema {
  const jsonSchemaDocument = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => {
      Object.assign(jsonSchema, agreementNumberConstraint(jsonSchema));
      // Read-only for our code; callers do not need to know.
      delete jsonSchema.readOnly;
      // The bounds of integers in JavaScript are not part of the contract.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (io === 'output' && !closed && jsonSchema.additionalProperties === false)
        delete jsonSchema.additionalProperties;
    },
  });
  const nameOf = (id: string) => (io === 'input' ? `${id}Input` : id);
  const { $schema: _, $defs = {}, ...root } = renameReferences(jsonSchemaDocument, nameOf);
  for (const [id, component] of Object.entries($defs)) {
    const { id: __, ...rest } = component as Schema & { id?: string };
    schemas.set(nameOf(id), rest);
  }
  return root;
}

function renameReferences(schema: Schema, nameOf: (id: string) => string): Schema {
  const text = JSON.stringify(schema).replaceAll(/"#\/\$defs\/(\w+)"/g, (_, id: string) =>
    JSON.stringify(`#/components/schemas/${nameOf(id)}`),
  );
  return JSON.parse(text);
}

/**
 * Returns the constraint that the schemas check in code: an agreement has one number or, in the Open program, two. An exception
 * request does not have the program, so it accepts both.
 */
function agreementNumberConstraint({ properties = {} }: Schema): Schema {
  if (!('agreementNumber' in properties && 'authorizationNumber' in properties)) return {};
  const byOne = { required: ['agreementNumber'], properties: { authorizationNumber: false, licenseNumber: false } };
  const byTwo = { required: ['authorizationNumber', 'licenseNumber'], properties: { agreementNumber: false } };
  if (!('program' in properties)) return { oneOf: [byOne, byTwo] };
  const others = programs.filter((program) => program !== 'open');
  return {
    oneOf: [
      { ...byOne, properties: { program: { enum: others }, ...byOne.properties } },
      { ...byTwo, properties: { program: { const: 'open' }, ...byTwo.properties } },
    ],
  };
}

function sortByName<Value>(entries: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[] {
  return [...entries].toSorted(([one], [other]) => (one < other ? -1 : 1));
}
