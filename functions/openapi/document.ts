import * as z from 'zod';
import { programs } from '../../domain/catalog.ts';
import { problemType } from '../http/problems.ts';
import { bodies, queries } from '../http/request-schemas.ts';
import type { Route, Who } from '../manifest.ts';
import { allRoutes, needsToken, staffRoles } from '../manifest.ts';
import { exampleOf } from './examples.ts';
import type { DescribedRoute } from './operations.ts';
import { describedRoutes } from './operations.ts';
import type { ProblemCode } from './problem-schemas.ts';
import { described, problemDocument, problemHead, problemName } from './problem-schemas.ts';

/*
 * The published description of the API: an OpenAPI 3.1 document, made of the manifest, the schemas of what comes in and
 * goes out, and the words about them. It is made when somebody asks for it, and no function that does work imports it.
 */

/** A JSON Schema of the 2020-12 draft, which is what OpenAPI 3.1 speaks. */
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

/** The version of the contract. A change that breaks callers gets a new first number. */
const version = '1.0.0';

const tags = {
  device: {
    name: 'Devices',
    description: 'Machines that activate. They send no token: the product key in the body is their credential.',
  },
  customer: {
    name: 'Customers',
    description:
      'Whoever is on an agreement’s Authorized Contact List, or is its Notices Correspondent, by the e-mail address of the token. Staff see the same with the roles that each route names.',
  },
  'call-center': { name: 'Call centre', description: 'What an agent may find out and give during a call.' },
  'exceptions-team': { name: 'Exceptions team', description: 'What the team does to exception requests.' },
  'licensing-admins': { name: 'Licensing administrators', description: 'Agreements and the people whom they name.' },
  'link-holder': {
    name: 'Links in mails',
    description:
      'What the Notices Correspondent opens from a mail. The token in the path is the credential. People get pages; with `Accept: application/json`, programs get JSON.',
  },
  anyone: { name: 'The service', description: 'For anyone.' },
} as const;

const callers: Readonly<Record<Who, string>> = {
  device: 'devices',
  customer: 'customers',
  'signed-in': 'anybody who is signed in',
  'call-center': '`call-center`',
  'exceptions-team': '`exceptions-team`',
  'licensing-admins': '`licensing-admins`',
  'link-holder': 'whoever has the link',
  anyone: 'anyone',
};

const about = `
Issues volume license keys, counts what they activate, and raises their limits when the rules and the customer's Notices Correspondent say so.

## Conventions
- JSON in and out. Instants are UTC with \`Z\`, dates are \`YYYY-MM-DD\`. A field that a request does not have is refused; answers may get more members in time, so ignore those that you do not know.
- Spaces around a text are taken off, and the symbols of a product key may be small letters: what is said below of a text holds after that.
- A POST that needs no field takes \`{}\` or no body.
- Lists answer \`{ "items": […], "nextCursor": … }\`. Ask for the next page with the cursor, and with the same parameters; it is null on the last.
- Every “no” is a problem document (RFC 9457, \`application/problem+json\`). Rely on its \`code\`; \`detail\` is a sentence for a person, saying what to do next.
- Every answer carries \`X-Request-Id\`. Name it when you ask us about it.
- \`429\` and \`503\` carry \`Retry-After\`, in seconds.
- Where a gateway stands before the service, it says \`401\` and \`429\` itself, as \`{ "message": … }\` and without those two headers: go by the status.

## Once, whatever is retried
Send an \`Idempotency-Key\` with a POST, and send the same request with the same key again when no answer came: it is done once, and answered as the first time. Keys are kept for 24 hours.

## Signing in
\`Authorization: Bearer …\` with a JWT of the user pool: the caller's e-mail address in \`email\`, staff roles in \`cognito:groups\`. A caller without a role is a customer. What a caller may not see answers as if it were not there.
`.trim();

const requestId = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } };
const retryAfter = { ...requestId, 'Retry-After': { $ref: '#/components/headers/RetryAfter' } };

/**
 * Makes the document.
 * @param closed also says that answers have no members but those described. It is true of this version and no promise to
 * callers, so it is for our own tests only.
 */
export function openApiDocument({ closed = false }: { readonly closed?: boolean } = {}): OpenApi {
  const schemas = new Map<string, Schema>();
  const responses = new Map<string, Response>();
  const parts = { schemas, responses, closed };
  const paths: Record<string, Record<string, Operation>> = {};
  for (const { route, who } of allRoutes()) {
    const { method, path } = writtenAs(route);
    const operations = paths[path] ?? {};
    operations[method.toLowerCase()] = operationOf(route, who, parts);
    paths[path] = operations;
  }
  const inUse = new Set(
    Object.values(paths).flatMap((operations) => Object.values(operations).flatMap((each) => each.tags)),
  );
  return {
    openapi: '3.1.1',
    info: {
      title: 'Volume Activation',
      version,
      summary: 'Volume license keys, their activations, and requests for more.',
      description: about,
      license: { name: 'Apache License 2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'The service that this description came from.' }],
    tags: Object.values(tags).filter(({ name }) => inUse.has(name)),
    paths,
    components: {
      schemas: Object.fromEntries(sorted(schemas)),
      responses: Object.fromEntries(sorted(responses)),
      parameters: {
        IdempotencyKey: {
          name: 'Idempotency-Key',
          in: 'header',
          required: false,
          description: 'Makes the request safe to send again: the same key with the same request is done once.',
          schema: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[ -~]+$' },
          example: '0b9f4f5e-6f0e-4a3c-8a52-5d3a2f0c9d11',
        },
      },
      headers: {
        RequestId: {
          description: 'Names this request in our logs.',
          required: false,
          schema: { type: 'string', minLength: 1 },
        },
        RetryAfter: {
          description: 'Seconds to wait before the request is sent again.',
          required: false,
          schema: { type: 'integer', minimum: 1 },
        },
      },
      securitySchemes: {
        signIn: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'A token of the user pool: `email` is the caller, `cognito:groups` their staff roles.',
        },
      },
    },
  };
}

/** A route's method, its path, and the names in braces of the path. */
export function writtenAs(route: Route): {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly string[];
} {
  const [method = '', path = ''] = route.split(' ');
  return { method, path, parameters: [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? []) };
}

type Parts = {
  readonly schemas: Map<string, Schema>;
  readonly responses: Map<string, Response>;
  readonly closed: boolean;
};

function operationOf(route: Route, who: readonly Who[], parts: Parts): Operation {
  const { operation, summary, more, answers }: DescribedRoute = describedRoutes[route];
  const parameters = parametersOf(route, who, parts);
  const body = bodyOf(route, parts);
  const byWhom = who.map((each) => callers[each]).join(', ');
  const replies = Object.entries(answers).map(([status, reply]) => [status, replyOf(route, reply, parts)] as const);
  const refusals = [...codesOf(route, who)].map(
    ([status, codes]) => [String(status), problemsOf(route, status, codes, parts)] as const,
  );
  return {
    operationId: operation,
    tags: [tagOf(who)],
    summary,
    description: [...(more === undefined ? [] : [more]), `Called by: ${byWhom}.`].join('\n\n'),
    security: needsToken(who) ? [{ signIn: [] }] : [],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: Object.fromEntries([...replies, ...refusals]),
  };
}

function tagOf(who: readonly Who[]): string {
  if (who.includes('signed-in')) return tags.customer.name;
  const first = (['device', 'customer', 'link-holder', 'anyone', ...staffRoles] as const).find((each) =>
    who.includes(each),
  );
  return tags[first ?? 'anyone'].name;
}

// ---- What comes in

const parameterWords: Readonly<Record<string, string>> = {
  agreementId: 'The agreement number; for Open, `<authorizationNumber>-<licenseNumber>`.',
  keyId: 'The key’s id, as every list of keys gives it. Not the product key.',
  exceptionId: 'The id of the request.',
  token: 'The token of the link.',
  limit: 'How many to answer at most.',
  cursor: 'The `nextCursor` of the page before.',
  lastFive: 'The last five symbols of the product key.',
  status: 'Only those in this state; `open` is all that are not final.',
};

function parametersOf(route: Route, who: readonly Who[], parts: Parts): readonly (Parameter | Ref)[] {
  const { method, parameters } = writtenAs(route);
  const inPath = parameters.map(
    (name): Parameter => ({
      name,
      in: 'path',
      required: true,
      description: parameterWords[name] ?? name,
      schema: { type: 'string', minLength: 1, maxLength: 200 },
      example: exampleOf({ type: 'string' }, {}, [name]),
    }),
  );
  const inQuery = Object.entries(querySchemaOf(route, parts)).map(
    ([name, schema]): Parameter => ({
      name,
      in: 'query',
      required: false,
      description: parameterWords[name] ?? name,
      schema,
      ...(name === 'cursor' ? {} : { example: exampleOf(schema, {}, ['Query', name]) }),
    }),
  );
  const repeatable = method === 'POST' && needsToken(who);
  return [...inPath, ...inQuery, ...(repeatable ? [{ $ref: '#/components/parameters/IdempotencyKey' }] : [])];
}

/** The parameters of a route's query. What is read as a number is described as one, not as the text that it is written in. */
function querySchemaOf(route: Route, parts: Parts): Readonly<Record<string, Schema>> {
  const query = (queries as Partial<Record<Route, z.ZodType>>)[route];
  if (query === undefined) return {};
  const written = propertiesOf(jsonSchemaOf(query, 'input', parts));
  const read = propertiesOf(jsonSchemaOf(query, 'output', parts));
  return Object.fromEntries(
    Object.entries(written).map(([name, schema]) => {
      const asRead = read[name];
      return [name, asRead?.type === 'integer' ? asRead : schema];
    }),
  );
}

function propertiesOf({ properties = {} }: Schema): Readonly<Record<string, Schema>> {
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, schema]) => (typeof schema === 'object' ? [[name, schema]] : [])),
  );
}

function bodyOf(route: Route, parts: Parts): Operation['requestBody'] {
  const { form }: DescribedRoute = describedRoutes[route];
  const body = (bodies as Partial<Record<Route, z.ZodType>>)[route] ?? form;
  if (body === undefined) return undefined;
  const schema = jsonSchemaOf(body, 'input', parts);
  const media = { schema, example: exampleOf(schema, Object.fromEntries(parts.schemas), [`to ${route}`]) };
  const content =
    form === undefined
      ? { 'application/json': media }
      : { 'application/x-www-form-urlencoded': media, 'application/json': media };
  return { required: !body.safeParse({}).success, content };
}

// ---- What goes out

function replyOf(route: Route, { says, json, page }: DescribedRoute['answers'][number], parts: Parts): Response {
  const schema = json === undefined ? undefined : jsonSchemaOf(json, 'output', parts);
  const content: Content = {
    ...(schema === undefined
      ? {}
      : {
          'application/json': {
            schema,
            example: exampleOf(schema, Object.fromEntries(parts.schemas), [`from ${route}`]),
          },
        }),
    ...(page ? pageContent : {}),
  };
  return { description: says, headers: requestId, ...(Object.keys(content).length > 0 ? { content } : {}) };
}

const pageContent: Content = { 'text/html': { schema: { type: 'string' } } };

/** The codes that a route can answer, by status: those that follow from its shape, and its own. */
export function codesOf(route: Route, who: readonly Who[]): ReadonlyMap<number, readonly ProblemCode[]> {
  const { refuses = {} }: DescribedRoute = describedRoutes[route];
  const byStatus = new Map<number, Set<ProblemCode>>();
  const add = (code: ProblemCode, status: number) =>
    byStatus.set(status, (byStatus.get(status) ?? new Set()).add(code));
  for (const code of generalCodes(route, who)) add(code, problemHead(code).status);
  for (const [code, status] of Object.entries(refuses)) {
    const own = code as keyof typeof refuses;
    add(own, typeof status === 'number' ? status : problemHead(own).status);
  }
  return new Map(
    [...byStatus].map(([status, codes]) => [status, [...codes]] as const).toSorted(([one], [other]) => one - other),
  );
}

function generalCodes(route: Route, who: readonly Who[]): readonly ProblemCode[] {
  const { method, parameters } = writtenAs(route);
  const signedIn = needsToken(who);
  const takesBody = route in bodies;
  const repeatable = signedIn && method === 'POST';
  const openToAll = who.includes('signed-in') || ['customer', ...staffRoles].every((each) => who.includes(each as Who));
  const applying: readonly (readonly [boolean, readonly ProblemCode[]])[] = [
    [signedIn, ['unauthenticated']],
    [signedIn && !openToAll, ['forbidden']],
    [parameters.length > 0, ['not-found']],
    [method !== 'GET', ['malformed-json', 'too-large']],
    [takesBody, ['unsupported-media-type']],
    [takesBody || repeatable || route in queries, ['invalid-request']],
    [repeatable, ['idempotency-key-reused', 'request-in-progress']],
    [true, ['too-many-requests', 'fault', 'busy']],
  ];
  return applying.flatMap(([applies, codes]) => (applies ? codes : []));
}

/** The codes that are always told as a problem, also where a route's own refusals come as pages. */
const neverPages: readonly ProblemCode[] = [
  'malformed-json',
  'unsupported-media-type',
  'too-large',
  'too-many-requests',
  'fault',
  'busy',
];

function problemsOf(route: Route, status: number, codes: readonly ProblemCode[], parts: Parts): Response | Ref {
  const { answers }: DescribedRoute = describedRoutes[route];
  const hasPages = Object.values(answers).some(({ page }) => page);
  const pages = hasPages && codes.some((code) => !neverPages.includes(code));
  const response: Response = {
    description: codes.map((code) => described[code].when).join(' '),
    headers: status === 429 || status === 503 ? retryAfter : requestId,
    content: {
      [problemType]: {
        schema: problemSchema(codes, parts),
        examples: Object.fromEntries(codes.map((code) => [code, problemExample(code, status, parts)])),
      },
      ...(pages ? pageContent : {}),
      // The local system has no such gateway, and no answer of it may look like one.
      ...((status === 401 || status === 429) && !parts.closed ? gatewayContent : {}),
    },
  };
  const [only] = codes;
  if (codes.length > 1 || only === undefined || pages || status !== problemHead(only).status) return response;
  const name = problemName(only).replace(/Problem$/, '');
  parts.responses.set(name, response);
  return { $ref: `#/components/responses/${name}` };
}

const gatewayContent: Content = {
  'application/json': {
    schema: { type: 'object', properties: { message: { type: 'string' } }, required: ['message'] },
    example: { message: 'Unauthorized' },
  },
};

function problemSchema(codes: readonly ProblemCode[], parts: Parts): Schema {
  const refs = codes.map((code) => jsonSchemaOf(problemDocument(code), 'output', parts));
  const [only] = refs;
  if (refs.length === 1 && only !== undefined) return only;
  const mapping = Object.fromEntries(codes.map((code, index) => [code, refs[index]?.$ref]));
  return { oneOf: refs, discriminator: { propertyName: 'code', mapping } };
}

function problemExample(code: ProblemCode, status: number, { schemas }: Parts) {
  const { title } = problemHead(code);
  const { members, example: detail } = described[code];
  const components = Object.fromEntries(schemas);
  const document = schemas.get(problemName(code)) ?? {};
  const told = Object.entries(propertiesOf(document)).flatMap(([name, schema]) =>
    name in members ? [[name, exampleOf(schema, components, [problemName(code), name])] as const] : [],
  );
  const type = `urn:volume-activation:problem:${code}`;
  return { summary: title, value: { type, title, status, code, detail, ...Object.fromEntries(told) } };
}

// ---- Schemas

/**
 * The JSON Schema of what is sent (`input`) or answered (`output`). A schema that has a name becomes a component and is
 * referred to; where a request and an answer share a name, the request's has `Input` added.
 */
function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output', { schemas, closed }: Parts): Schema {
  const made = z.toJSONSchema(schema, {
    io,
    override: ({ jsonSchema }) => {
      Object.assign(jsonSchema, exactlyOneNaming(jsonSchema));
      // It says that the code may not write to it, which is no matter of the wire.
      delete jsonSchema.readOnly;
      // JavaScript's own bounds of whole numbers are none of ours.
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (io === 'output' && !closed && jsonSchema.additionalProperties === false)
        delete jsonSchema.additionalProperties;
    },
  });
  const nameOf = (id: string) => (io === 'input' ? `${id}Input` : id);
  const { $schema: _, $defs = {}, ...root } = renamed(made, nameOf);
  for (const [id, component] of Object.entries($defs)) {
    const { id: __, ...rest } = component as Schema & { id?: string };
    schemas.set(nameOf(id), rest);
  }
  return root;
}

function renamed(schema: Schema, nameOf: (id: string) => string): Schema {
  const text = JSON.stringify(schema).replaceAll(/"#\/\$defs\/(\w+)"/g, (_, id: string) =>
    JSON.stringify(`#/components/schemas/${nameOf(id)}`),
  );
  return JSON.parse(text);
}

/**
 * What the schemas check by a rule of their own: an agreement is named by its number or, in Open, by two. A request for
 * more does not say its program, so there either will do.
 */
function exactlyOneNaming({ properties = {} }: Schema): Schema {
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

function sorted<Value>(entries: ReadonlyMap<string, Value>): readonly (readonly [string, Value])[] {
  return [...entries].toSorted(([one], [other]) => (one < other ? -1 : 1));
}
