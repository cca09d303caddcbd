import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { problemType } from '../functions/http/problems.ts';
import type { Operation, Parameter, Ref, Response, Schema } from '../functions/openapi/document.ts';
import { openApiDocument } from '../functions/openapi/document.ts';
import { problemDocumentSchema } from '../functions/openapi/problem-schemas.ts';

// Compares requests and responses with the OpenAPI document as a client would: with a JSON Schema validator, not with the
// schemas from which the document is generated. The document is closed here: a response with an undocumented member is a
// violation.

const document = openApiDocument({ closed: true });

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false });
formats.default(ajv);
// The document is loaded as one schema, of which only parts validate.
ajv.addVocabulary([...Object.keys(document), 'discriminator']);
ajv.addSchema(document, 'openapi.json', undefined, false);

/** Returns the validator of the schema at a place in the document. Each is compiled once. */
function validatorAt(...place: readonly string[]): ValidateFunction {
  const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  const validate = ajv.getSchema(`openapi.json#/${pointer}`);
  if (validate === undefined) throw new Error(`The document has nothing at ${pointer}.`);
  return validate;
}

/** Returns the component schema behind a reference. */
export function componentAt($ref: string): Schema {
  const schema = document.components.schemas[$ref.replace('#/components/schemas/', '')];
  if (schema === undefined) throw new Error(`The document has no schema ${$ref}.`);
  return schema;
}

/** An operation of the document. */
export type DescribedOperation = {
  readonly method: string;
  /** The path, with its parameters in braces. */
  readonly path: string;
  readonly operation: Operation;
  readonly parameters: readonly Parameter[];
};

/** Every operation of the document. */
export const describedOperations: readonly DescribedOperation[] = Object.entries(document.paths).flatMap(
  ([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
      parameters: (operation.parameters ?? []).map(resolveParameter),
    })),
);

function resolveParameter(reference: Parameter | Ref): Parameter {
  if (!('$ref' in reference)) return reference;
  const parameter = document.components.parameters[reference.$ref.replace('#/components/parameters/', '')];
  if (parameter === undefined) throw new Error(`The document has no parameter ${reference.$ref}.`);
  return parameter;
}

const patterns = describedOperations
  .map((described) => ({
    described,
    pattern: new RegExp(`^${described.path.replace(/\{\w+\}/g, '([^/]+)')}$`),
  }))
  // If two match, the one with fewer parameters applies.
  .toSorted((one, other) => one.described.path.split('{').length - other.described.path.split('{').length);

/** Returns the operation for a method and a path, or undefined. The query is ignored. */
export function operationAt(method: string, path: string): DescribedOperation | undefined {
  const pathname = pathnameOf(path);
  for (const { described, pattern } of patterns) {
    const match = described.method === method ? pattern.exec(pathname) : null;
    if (match?.slice(1).every(isWellEncoded)) return described;
  }
  return undefined;
}

/** Returns the path as a server reads it: without the query, and with dot segments resolved. */
export function pathnameOf(path: string): string {
  return URL.parse(`http://localhost${path}`)?.pathname ?? path;
}

function isWellEncoded(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

/** The parts of a response that are compared with the document. */
export type ReceivedResponse = {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly text: string;
};

/**
 * Returns every difference between a response and the document: status, headers, media type, and body. On a path without
 * an operation, the response must be `not-found`.
 */
export function findViolations(method: string, path: string, response: ReceivedResponse): readonly string[] {
  const described = operationAt(method === 'HEAD' ? 'GET' : method, path);
  const withoutId = response.headers.get('x-request-id') ? [] : ['has no X-Request-Id'];
  if (described === undefined) return [...withoutId, ...findUnknownPathViolations(method, response)];
  const { status } = response;
  const description = responseOf(described, status);
  if (description === undefined) return [...withoutId, `${status} is not documented`];
  const missing = Object.keys(description.headers)
    .filter((name) => !response.headers.get(name))
    .map((name) => `has no ${name}`);
  const body = method === 'HEAD' ? [] : findBodyViolations(described, description, response);
  return [...new Set([...withoutId, ...missing]), ...body];
}

function findUnknownPathViolations(method: string, { status, headers, text }: ReceivedResponse): readonly string[] {
  if (status !== 404 && status !== 405) return [`${status} instead of 404 or 405 on a path without an operation`];
  if (status === 405 && !/^[A-Z]+(, [A-Z]+)*$/.test(headers.get('allow') ?? '')) return ['405 without Allow'];
  if (headers.get('content-type') !== problemType)
    return [`has the type ${headers.get('content-type')} instead of ${problemType}`];
  if (method === 'HEAD') return [];
  if (status === 404) return findJsonViolations(text, ['components', 'schemas', 'NotFoundProblem']);
  // No operation answers 405, so the document has no schema for it.
  const problem: unknown = JSON.parse(text);
  const isProblem = problemDocumentSchema('method-not-allowed').safeParse(problem).success;
  return isProblem ? [] : [`405 with ${text}`];
}

function responseOf({ operation }: DescribedOperation, status: number): Response | undefined {
  const response = operation.responses[String(status)];
  if (response === undefined || !('$ref' in response)) return response;
  return document.components.responses[response.$ref.replace('#/components/responses/', '')];
}

function findBodyViolations(
  { method, path, operation }: DescribedOperation,
  { content = {} }: Response,
  { status, headers, text }: ReceivedResponse,
): readonly string[] {
  const type = (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
  const types = Object.keys(content);
  if (types.length === 0) return text === '' && type === '' ? [] : [`${status} has a body, but none is documented`];
  if (!types.includes(type)) return [`${status} has the type “${type}” instead of ${types.join(' or ')}`];
  if (!/[/+]json$/.test(type)) return text === '' ? [`${status} has an empty page`] : [];
  const response = operation.responses[String(status)];
  const place =
    response !== undefined && '$ref' in response
      ? response.$ref.slice(2).split('/')
      : ['paths', path, method.toLowerCase(), 'responses', String(status)];
  return [
    ...findJsonViolations(text, [...place, 'content', type, 'schema']),
    ...(type === problemType ? findStatusViolations(text, status) : []),
  ];
}

/** A problem names its own status, where a code has no other use for that member. */
function findStatusViolations(text: string, status: number): readonly string[] {
  const problem: unknown = parseJson(text)?.value;
  const namedStatus =
    typeof problem === 'object' && problem !== null && 'status' in problem ? problem.status : undefined;
  return typeof namedStatus === 'number' && namedStatus !== status
    ? [`${status} names ${namedStatus} as its status`]
    : [];
}

function findJsonViolations(text: string, place: readonly string[]): readonly string[] {
  const body = parseJson(text);
  if (body === undefined) return ['is not JSON'];
  return schemaErrors(validatorAt(...place), body.value);
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function schemaErrors(validate: ValidateFunction, value: unknown): readonly string[] {
  if (validate(value)) return [];
  return (validate.errors ?? []).map(({ instancePath, message = 'is wrong', params }) =>
    `${instancePath === '' ? 'the body' : instancePath} ${message} ${JSON.stringify(params)}`.trim(),
  );
}

/** Returns whether only the local system has a path. Its own routes are not documented. */
export function isLocal(path: string): boolean {
  const pathname = pathnameOf(path);
  return pathname === '/' || pathname.startsWith('/_local');
}

/** Throws with every violation if a response is not as documented. Ignores the routes of the local system. */
export function expectConformance(method: string, path: string, response: ReceivedResponse): void {
  if (isLocal(path)) return;
  const violations = findViolations(method, path, response);
  if (violations.length === 0) return;
  const list = violations.map((violation) => `  ${violation}`).join('\n');
  throw new Error(`${method} ${path} does not respond as documented:\n${list}\n${response.status} ${response.text}`);
}

/** Returns the violations in a request body. Strings are trimmed first, as the document says. */
export function bodyErrors({ method, path }: DescribedOperation, body: unknown): readonly string[] {
  const validate = validatorAt(
    'paths',
    path,
    method.toLowerCase(),
    'requestBody',
    'content',
    'application/json',
    'schema',
  );
  return schemaErrors(validate, trimStrings(body));
}

/** Returns the violations in a query. Undocumented parameters are ignored. */
export function queryErrors(
  { method, path, parameters }: DescribedOperation,
  query: URLSearchParams,
): readonly string[] {
  return parameters.flatMap(({ in: place, name, schema }, index) => {
    // A repeated parameter is read as one value with commas.
    const values = query.getAll(name);
    if (place !== 'query' || values.length === 0) return [];
    const text = values.join(',').trim();
    const value = schema.type === 'integer' ? (/^\d+$/.test(text) ? Number(text) : text) : normalizeValue(name, text);
    const validate = validatorAt('paths', path, method.toLowerCase(), 'parameters', String(index), 'schema');
    return schemaErrors(validate, value).map((error) => `${name}: ${error}`);
  });
}

function trimStrings(value: unknown): unknown {
  if (typeof value === 'string') return value.trim();
  if (Array.isArray(value)) return value.map(trimStrings);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const trimmed = trimStrings(member);
      return [name, typeof trimmed === 'string' ? normalizeValue(name, trimmed) : trimmed];
    }),
  );
}

/** Returns a value in the case that the document has: the characters of a product key can be lowercase. */
function normalizeValue(name: string, text: string): string {
  return name === 'lastFive' || name === 'keyLastFive' ? text.toUpperCase() : text;
}
