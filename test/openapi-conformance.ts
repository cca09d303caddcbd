import type { ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { problemType } from '../functions/http/problems.ts';
import type { Operation, Parameter, Ref, Response, Schema } from '../functions/openapi/document.ts';
import { openApiDocument } from '../functions/openapi/document.ts';

// Holds what goes over the wire against the published description of it, and reads that as a stranger would: by a JSON
// Schema validator, not by the schemas that it was made of. It is closed here: an answer with a member that is not
// described is no answer of this version.

const document = openApiDocument({ closed: true });

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true, strictRequired: false });
formats.default(ajv);
// The document is read as one schema, of which only parts are ever used to judge.
ajv.addVocabulary([...Object.keys(document), 'discriminator']);
ajv.addSchema(document, 'openapi.json', undefined, false);

/** What judges values by the schema at a place of the document; each is compiled once. */
function judgeAt(...place: readonly string[]): ValidateFunction {
  const pointer = place.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/');
  const judge = ajv.getSchema(`openapi.json#/${pointer}`);
  if (judge === undefined) throw new Error(`The description has nothing at ${pointer}.`);
  return judge;
}

/** A schema that the description gives a name, by the reference to it. */
export function componentAt($ref: string): Schema {
  const found = document.components.schemas[$ref.replace('#/components/schemas/', '')];
  if (found === undefined) throw new Error(`The description has no schema ${$ref}.`);
  return found;
}

/** A route of the description. */
export type DescribedOperation = {
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  readonly operation: Operation;
  readonly parameters: readonly Parameter[];
};

/** Every route of the description. */
export const describedOperations: readonly DescribedOperation[] = Object.entries(document.paths).flatMap(
  ([path, byMethod]) =>
    Object.entries(byMethod).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
      parameters: (operation.parameters ?? []).map(resolvedParameter),
    })),
);

function resolvedParameter(given: Parameter | Ref): Parameter {
  if (!('$ref' in given)) return given;
  const found = document.components.parameters[given.$ref.replace('#/components/parameters/', '')];
  if (found === undefined) throw new Error(`The description has no parameter ${given.$ref}.`);
  return found;
}

const patterns = describedOperations
  .map((described) => ({
    described,
    pattern: new RegExp(`^${described.path.replace(/\{\w+\}/g, '([^/]+)')}$`),
  }))
  // Where two fit, the one with fewer parameters is meant.
  .toSorted((one, other) => one.described.path.split('{').length - other.described.path.split('{').length);

/** The route that answers a path, without its query; undefined when none is described. */
export function operationAt(method: string, path: string): DescribedOperation | undefined {
  const pathname = pathnameOf(path);
  for (const { described, pattern } of patterns) {
    const match = described.method === method ? pattern.exec(pathname) : null;
    if (match?.slice(1).every(isWellEncoded)) return described;
  }
  return undefined;
}

/** The path that a server reads in one: dots in it have been walked, and its query is not part of it. */
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

/** What came back, as far as it is judged. */
export type Answered = {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly text: string;
};

/**
 * Everything in which an answer is not as described: its status, its headers, its media type, its body. None if nothing is.
 * A path that no route has must be answered as such.
 */
export function complaintsAbout(method: string, path: string, answered: Answered): readonly string[] {
  const described = operationAt(method, path);
  const withoutId = answered.headers.get('x-request-id') ? [] : ['has no X-Request-Id'];
  if (described === undefined) return [...withoutId, ...complaintsAboutNowhere(method, answered)];
  const { status } = answered;
  const response = responseOf(described, status);
  if (response === undefined) return [...withoutId, `${status} is not described`];
  const missing = Object.keys(response.headers)
    .filter((name) => !answered.headers.get(name))
    .map((name) => `has no ${name}`);
  return [...new Set([...withoutId, ...missing]), ...complaintsAboutBody(described, response, answered)];
}

function complaintsAboutNowhere(method: string, { status, headers, text }: Answered): readonly string[] {
  if (status !== 404) return [`${status} where no route is, in place of 404`];
  if (headers.get('content-type') !== problemType) return [`is ${headers.get('content-type')} and no problem`];
  return method === 'HEAD' ? [] : complaintsAboutJson(text, ['components', 'schemas', 'NotFoundProblem']);
}

function responseOf({ operation }: DescribedOperation, status: number): Response | undefined {
  const given = operation.responses[String(status)];
  if (given === undefined || !('$ref' in given)) return given;
  return document.components.responses[given.$ref.replace('#/components/responses/', '')];
}

function complaintsAboutBody(
  { method, path, operation }: DescribedOperation,
  { content = {} }: Response,
  { status, headers, text }: Answered,
): readonly string[] {
  const type = (headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
  const types = Object.keys(content);
  if (types.length === 0) return text === '' && type === '' ? [] : [`${status} has a body where none is described`];
  if (!types.includes(type)) return [`${status} comes as “${type}”, where ${types.join(' or ')} is described`];
  if (!/[/+]json$/.test(type)) return text === '' ? [`${status} is an empty page`] : [];
  const given = operation.responses[String(status)];
  const place =
    given !== undefined && '$ref' in given
      ? given.$ref.slice(2).split('/')
      : ['paths', path, method.toLowerCase(), 'responses', String(status)];
  return [
    ...complaintsAboutJson(text, [...place, 'content', type, 'schema']),
    ...(type === problemType ? complaintsAboutStatus(text, status) : []),
  ];
}

/** A problem names its own status, where a code has no other use for that member. */
function complaintsAboutStatus(text: string, status: number): readonly string[] {
  const told: unknown = jsonFrom(text)?.value;
  const named = typeof told === 'object' && told !== null && 'status' in told ? told.status : undefined;
  return typeof named === 'number' && named !== status ? [`${status} names ${named} as its status`] : [];
}

function complaintsAboutJson(text: string, place: readonly string[]): readonly string[] {
  const body = jsonFrom(text);
  if (body === undefined) return ['is not JSON'];
  return faultsOf(judgeAt(...place), body.value);
}

function jsonFrom(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

function faultsOf(judge: ValidateFunction, value: unknown): readonly string[] {
  if (judge(value)) return [];
  return (judge.errors ?? []).map(({ instancePath, message = 'is wrong', params }) =>
    `${instancePath === '' ? 'the body' : instancePath} ${message} ${JSON.stringify(params)}`.trim(),
  );
}

/** Whether only the local system has a path; what it answers there is its own matter. */
export function isLocal(path: string): boolean {
  const pathname = pathnameOf(path);
  return pathname === '/' || pathname.startsWith('/_local');
}

/** Throws, naming every complaint, when an answer is not as described. The routes of the local system are its own. */
export function conforms(method: string, path: string, answered: Answered): void {
  if (isLocal(path)) return;
  const complaints = complaintsAbout(method, path, answered);
  if (complaints.length === 0) return;
  const told = complaints.map((complaint) => `  ${complaint}`).join('\n');
  throw new Error(`${method} ${path} is not answered as described:\n${told}\n${answered.status} ${answered.text}`);
}

/** In what a body breaks the description of what the route takes. Spaces around texts do not count, as it says itself. */
export function faultsOfBody({ method, path }: DescribedOperation, body: unknown): readonly string[] {
  const judge = judgeAt('paths', path, method.toLowerCase(), 'requestBody', 'content', 'application/json', 'schema');
  return faultsOf(judge, trimmed(body));
}

/** In what a query breaks the description. A parameter that is not described is not looked at. */
export function faultsOfQuery(
  { method, path, parameters }: DescribedOperation,
  query: URLSearchParams,
): readonly string[] {
  return parameters.flatMap(({ in: place, name, schema }, index) => {
    // A name that comes twice is read as one text with commas.
    const written = query.getAll(name);
    if (place !== 'query' || written.length === 0) return [];
    const text = written.join(',').trim();
    const value = schema.type === 'integer' ? (/^\d+$/.test(text) ? Number(text) : text) : normal(name, text);
    const judge = judgeAt('paths', path, method.toLowerCase(), 'parameters', String(index), 'schema');
    return faultsOf(judge, value).map((fault) => `${name}: ${fault}`);
  });
}

function trimmed(value: unknown): unknown {
  if (typeof value === 'string') return value.trim();
  if (Array.isArray(value)) return value.map(trimmed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => {
      const inside = trimmed(member);
      return [name, typeof inside === 'string' ? normal(name, inside) : inside];
    }),
  );
}

/** The symbols of a product key may be small letters, as the description says. */
function normal(name: string, text: string): string {
  return name === 'lastFive' || name === 'keyLastFive' ? text.toUpperCase() : text;
}
