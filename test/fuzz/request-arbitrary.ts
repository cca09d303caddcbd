import fc from 'fast-check';
import type { StaffRole } from '../../functions/manifest.ts';
import { staffRoles } from '../../functions/manifest.ts';
import type { Schema } from '../../functions/openapi/document.ts';
import type { DescribedOperation } from '../openapi-conformance.ts';
import { componentAt, describedOperations } from '../openapi-conformance.ts';

// Generates drafts of requests from the OpenAPI document alone, without knowledge of the system under test.

/** A placeholder for a known value of a field. `isForeign` selects a value of another customer. */
export class Reference {
  readonly name: string;
  readonly isForeign: boolean;

  constructor(name: string, isForeign: boolean) {
    this.name = name;
    this.isForeign = isForeign;
  }

  toJSON(): string {
    return this.isForeign ? `‹another ${this.name}›` : `‹${this.name}›`;
  }
}

export type CallerChoice =
  /** A caller that the route permits. */
  | { readonly kind: 'permitted' }
  | { readonly kind: 'staff'; readonly role: StaffRole }
  | { readonly kind: 'contact' | 'correspondent' | 'other-customer' | 'outsider' }
  | { readonly kind: 'unauthenticated'; readonly number: number };

export type Mutation = {
  readonly kind: 'drop' | 'replace' | 'add' | 'duplicate';
  readonly position: number;
  readonly value: unknown;
};

export type BodyDraft =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'generated';
      readonly value: unknown;
      readonly asForm: boolean;
      readonly mutation: Mutation | undefined;
    }
  | { readonly kind: 'raw'; readonly bytes: Uint8Array; readonly type: string | undefined };

export type Draft = {
  readonly operation: DescribedOperation;
  /** A method that replaces the route's own. */
  readonly method: string | undefined;
  readonly caller: CallerChoice;
  /** The numbers of the customer, of its key, request, and link, and of the computer. */
  readonly customer: number;
  readonly number: number;
  readonly computer: number;
  readonly path: Readonly<Record<string, Reference | string>>;
  readonly query: readonly (readonly [name: string, value: Reference | string])[];
  readonly headers: Readonly<Record<string, string>>;
  readonly body: BodyDraft;
};

/** The fields with known values. */
const referenceFields = new Set([
  'agreementId',
  'keyId',
  'exceptionId',
  'token',
  'code',
  'cursor',
  'lastFive',
  'keyLastFive',
  'productKey',
  'installationId',
  'product',
  'kind',
  'requester',
  'activationsRequested',
  'noticesCorrespondent',
  'organizationName',
  'callReference',
  'newLimit',
]);

// ---- Values

const injections = [
  "' OR '1'='1",
  '"; DROP TABLE keys; --',
  '<script>alert(1)</script>',
  '{{7*7}}',
  '#{7*7}',
  '../../etc/passwd',
  'KEY#0#1',
  'AGREEMENT#FUZZ-0',
  '__proto__',
  'constructor',
  'null',
  'NaN',
  '\u0000',
  'a\r\nSet-Cookie: a=b',
  '\u202Egnp.exe',
  '\uD800',
  '💥'.repeat(20),
  'ﬀ\u0301',
  'ＦＵＺＺ-0',
] as const;

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1.5, 1e308, -0, 2 ** 53, '', ' ', [], {}, [[]], [null], { a: 1 }),
  fc.constantFrom(...injections),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(200, 5_000, 30_000).map((length) => 'x'.repeat(length)),
  fc.jsonValue({ maxDepth: 3 }),
);

const email = fc.stringMatching(/^[a-z]{1,8}@[a-z]{1,8}\.example$/);
const date = fc
  .date({ min: new Date('2000-01-01'), max: new Date('2099-12-31'), noInvalidDate: true })
  .map((day) => day.toISOString().slice(0, 10));

function textFor(
  { pattern, format, minLength = 0, maxLength }: Schema,
  name: string,
  isPlausible: boolean,
): fc.Arbitrary<string> {
  if (format === 'email') return email;
  if (format === 'date') return isPlausible ? fc.constant('2099-01-04') : date;
  if (name === 'language')
    return isPlausible ? fc.constant('en') : fc.constantFrom('en-GB', 'de', 'pt-BR', 'zh-Hant-TW');
  if (name === 'code') return fc.stringMatching(/^\d{6}$/);
  // A pattern that only excludes characters describes free text.
  if (pattern !== undefined && !pattern.startsWith('^[^')) return fc.stringMatching(new RegExp(pattern));
  const lengthMax = Math.min(maxLength ?? 40, 40);
  if (isPlausible && lengthMax > 2) return fc.stringMatching(/^[A-Z][a-z]{1,8}( [a-z]{1,8}){0,3}\.?$/);
  const any = fc.oneof(
    fc.string({ unit: 'grapheme-ascii', minLength, maxLength: lengthMax }),
    fc.string({ unit: 'grapheme', minLength, maxLength: lengthMax }),
  );
  if (maxLength === undefined) return any;
  return fc.oneof({ weight: 9, arbitrary: any }, { weight: 1, arbitrary: fc.constant('y'.repeat(maxLength)) });
}

function integerFor({ minimum = 0, maximum = 1_000_000 }: Schema, isPlausible: boolean): fc.Arbitrary<number> {
  if (isPlausible) return fc.integer({ min: minimum, max: Math.min(maximum, minimum + 100) });
  return fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: minimum, max: Math.min(maximum, minimum + 300) }) },
    { weight: 1, arbitrary: fc.integer({ min: minimum, max: maximum }) },
    { weight: 1, arbitrary: fc.constantFrom(minimum, maximum) },
  );
}

/**
 * Generates values that a schema allows, and mostly references for fields with known values. Plausible values are what
 * a typical caller would send: they contradict no known values, so that most of the requests reach the business rules.
 */
function valueFor(schemaOrReference: Schema, name: string, isPlausible: boolean): fc.Arbitrary<unknown> {
  if (isPlausible && referenceFields.has(name)) return fc.constant(new Reference(name, false));
  const schema = schemaOrReference.$ref === undefined ? schemaOrReference : componentAt(schemaOrReference.$ref);
  const literal = literalFor(schema, name, isPlausible);
  return referenceFields.has(name)
    ? fc.oneof({ weight: 8, arbitrary: referenceTo(name) }, { weight: 1, arbitrary: literal })
    : literal;
}

function referenceTo(name: string): fc.Arbitrary<Reference> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.constant(new Reference(name, false)) },
    { weight: 1, arbitrary: fc.constant(new Reference(name, true)) },
  );
}

function literalFor(schema: Schema, name: string, isPlausible: boolean): fc.Arbitrary<unknown> {
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.properties !== undefined) return objectFor(schema, isPlausible);
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => valueFor(choice, name, isPlausible)));
  switch (schema.type) {
    case 'string':
      return textFor(schema, name, isPlausible);
    case 'integer':
      return integerFor(schema, isPlausible);
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      const { items, minItems: minLength = 0, maxItems = 8 } = schema;
      if (typeof items !== 'object' || Array.isArray(items)) return fc.constant([]);
      const lengths = { minLength, maxLength: Math.min(maxItems, Math.max(minLength, 4)) };
      return fc.array(valueFor(items, name, isPlausible), lengths);
    }
    default:
      throw new Error(`This schema is not supported: ${JSON.stringify(schema)}`);
  }
}

/**
 * Generates an object. If the schema has `oneOf` next to its properties, the object matches any one of the
 * alternatives.
 */
function objectFor(schema: Schema, isPlausible: boolean): fc.Arbitrary<unknown> {
  const { oneOf = [], properties = {} } = schema;
  if (oneOf.length === 0) return recordFor(properties, schema.required ?? [], isPlausible);
  return fc.oneof(
    ...oneOf.map((alternative) => {
      const narrowed = Object.entries(alternative.properties ?? {}).filter(([, member]) => typeof member === 'object');
      const excluded = Object.entries(alternative.properties ?? {}).filter(([, member]) => member === false);
      const remaining = { ...properties, ...Object.fromEntries(narrowed) };
      for (const [name] of excluded) delete remaining[name];
      return recordFor(remaining, [...(schema.required ?? []), ...(alternative.required ?? [])], isPlausible);
    }),
  );
}

function recordFor(
  properties: NonNullable<Schema['properties']>,
  required: readonly string[],
  isPlausible: boolean,
): fc.Arbitrary<unknown> {
  const members = Object.entries(properties).flatMap(([name, member]) =>
    typeof member === 'object' ? [[name, valueFor(member, name, isPlausible)] as const] : [],
  );
  return fc.record(Object.fromEntries(members), { requiredKeys: [...required], noNullPrototype: true });
}

// ---- Parts of a request

const caller: fc.Arbitrary<CallerChoice> = fc.oneof(
  { weight: 14, arbitrary: fc.constant({ kind: 'permitted' } as const) },
  { weight: 2, arbitrary: fc.constantFrom(...staffRoles).map((role) => ({ kind: 'staff', role }) as const) },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { kind: 'contact' } as const,
      { kind: 'correspondent' } as const,
      { kind: 'other-customer' } as const,
      { kind: 'outsider' } as const,
    ),
  },
  { weight: 1, arbitrary: fc.nat(4).map((number) => ({ kind: 'unauthenticated', number }) as const) },
);

const hostileSegments = [
  ...['%00', '%zz', '%', '%2e%2e%2f%2e%2e', '%2F', '%ff', '..', '.', '', '*', '{keyId}', 'a%0d%0aX: y', '%F0%9F%92%A5'],
  ...['0'.repeat(32), 'f'.repeat(200), 'f'.repeat(201), 'f'.repeat(3_000), '__proto__', 'constructor', '-1', 'null'],
  ...["'%20OR%201=1--", 'KEY%23a', 'FUZZ-0%23KEY', 'fuzz-0', 'FUZZ-0%20', '%EF%BC%A6UZZ-0'],
];

function pathFor({ path }: DescribedOperation): fc.Arbitrary<Draft['path']> {
  const names = [...path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? []);
  const value = (name: string): fc.Arbitrary<Reference | string> =>
    fc.oneof(
      { weight: 12, arbitrary: referenceTo(name) },
      { weight: 1, arbitrary: fc.constantFrom(...hostileSegments) },
    );
  return fc.record(Object.fromEntries(names.map((name) => [name, value(name)])), { noNullPrototype: true });
}

const hostileQueryValue = fc.oneof(
  fc.constantFrom(
    '',
    '0',
    '-1',
    '101',
    '1e2',
    '0x10',
    '1.0',
    '９',
    '00',
    ' 5',
    '1,2',
    'NaN',
    'true',
    '[]',
    '%',
    '\u0000',
  ),
  fc.constantFrom(...injections.filter((each) => each !== '\uD800')),
  fc.constantFrom(
    'YQ',
    'R0VUIC9rZXlzCg',
    'x'.repeat(1_025),
    'x'.repeat(1_024),
    Buffer.from('GET /agreements\n~').toString('base64url'),
  ),
);

function queryFor({ parameters }: DescribedOperation): fc.Arbitrary<Draft['query']> {
  const queryParameters = parameters.filter((each) => each.in === 'query');
  if (queryParameters.length === 0) return fc.constant([]);
  const known = fc.constantFrom(...queryParameters).chain(({ name, schema }) => {
    const valid = valueFor(schema, name, false).map((value) => (value instanceof Reference ? value : String(value)));
    const value = fc.oneof({ weight: 5, arbitrary: valid }, { weight: 1, arbitrary: hostileQueryValue });
    return value.map((each) => [name, each] as const);
  });
  const unknown = fc.constant(['color', 'blue'] as const);
  return fc.array(fc.oneof({ weight: 12, arbitrary: known }, { weight: 1, arbitrary: unknown }), { maxLength: 3 });
}

const repeatedKeyHeader = fc.nat(30).map((number) => ({ 'idempotency-key': `again-${number}` }));

const headers: fc.Arbitrary<Readonly<Record<string, string>>> = fc.oneof(
  { weight: 8, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: repeatedKeyHeader },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Readonly<Record<string, string>>>(
      { accept: 'application/json' },
      { accept: 'text/html,application/xhtml+xml' },
      { accept: '*/*;q=0' },
      { accept: 'x'.repeat(4_000) },
      { 'idempotency-key': '' },
      { 'idempotency-key': 'é' },
      { 'idempotency-key': 'k'.repeat(255) },
      { 'idempotency-key': 'k'.repeat(256) },
      { 'idempotency-key': 'a\tb' },
      { 'x-http-method-override': 'DELETE' },
      { 'x-forwarded-for': '127.0.0.1', forwarded: 'for=127.0.0.1' },
      { 'x-request-id': 'mine' },
      { cookie: 'a=b; '.repeat(200) },
      { range: 'bytes=0-1' },
      { 'content-encoding': 'gzip' },
      { 'if-none-match': '*' },
      { origin: 'null', 'access-control-request-method': 'GET' },
    ),
  },
);

const mutation: fc.Arbitrary<Mutation> = fc.record({
  kind: fc.constantFrom('drop', 'replace', 'replace', 'add', 'duplicate'),
  position: fc.nat(200),
  value: hostileValue,
});

const utf8 = (text: string) => new TextEncoder().encode(text);
const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;
const rawBody: fc.Arbitrary<BodyDraft> = fc
  .tuple(
    fc.oneof(
      fc
        .constantFrom(
          '',
          ' ',
          '{',
          '{}',
          '[]',
          'null',
          '0',
          '"a"',
          '{"a":1,"a":2}',
          '{"__proto__":{"a":1}}',
          '\uFEFF{}',
          '{"a":1e999}',
          '{"text":"\\ud800"}',
        )
        .map(utf8),
      fc.constantFrom(nested(200), nested(20_000), `{"a":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_001)}`).map(utf8),
      fc.constantFrom(65_536, 65_537, 200_000).map((length) => utf8(`{"text":"${'x'.repeat(length - 11)}"}`)),
      fc.uint8Array({ maxLength: 60 }),
    ),
    fc.constantFrom(
      'application/json',
      'application/json',
      'application/json;charset=utf-16',
      'application/merge-patch+json',
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=a',
      'application/jsonx',
      '*/*',
      undefined,
    ),
  )
  .map(([bytes, type]) => ({ kind: 'raw', bytes, type }));

function bodyFor({ method, operation }: DescribedOperation): fc.Arbitrary<BodyDraft> {
  const none = fc.constant<BodyDraft>({ kind: 'none' });
  const media = operation.requestBody?.content['application/json'];
  if (media === undefined)
    return method === 'GET' ? none : fc.oneof({ weight: 6, arbitrary: none }, { weight: 1, arbitrary: rawBody });
  const acceptsForm = 'application/x-www-form-urlencoded' in (operation.requestBody?.content ?? {});
  const generated = (mutationArbitrary: fc.Arbitrary<Mutation | undefined>): fc.Arbitrary<BodyDraft> =>
    fc.record({
      kind: fc.constant('generated' as const),
      value: valueFor(media.schema, '', false),
      asForm: acceptsForm ? fc.boolean() : fc.constant(false),
      mutation: mutationArbitrary,
    });
  return fc.oneof(
    { weight: 12, arbitrary: generated(fc.constant(undefined)) },
    { weight: 6, arbitrary: generated(mutation) },
    { weight: 2, arbitrary: rawBody },
    { weight: 1, arbitrary: none },
  );
}

/** Generates requests that a typical caller would send. */
function plausibleDraftFor(operation: DescribedOperation): fc.Arbitrary<Draft> {
  const media = operation.operation.requestBody?.content['application/json'];
  const names = [...operation.path.matchAll(/\{(\w+)\}/g)].flatMap(([, name]) => name ?? []);
  const query = operation.parameters.filter((each) => each.in === 'query' && each.name !== 'cursor');
  return fc.record({
    operation: fc.constant(operation),
    method: fc.constant(undefined),
    caller: fc.constant({ kind: 'permitted' } as const),
    // Not the last customer, whose contacts change.
    customer: fc.nat(2),
    number: fc.nat(50),
    // A small range, so that computers activate again.
    computer: fc.nat(8),
    path: fc.constant(Object.fromEntries(names.map((name) => [name, new Reference(name, false)]))),
    query: fc
      .tuple(
        ...query.map(({ name, schema }) =>
          fc.option(valueFor(schema, name, true)).map((value) => [name, value] as const),
        ),
      )
      .map((all) =>
        all.flatMap(([name, value]): Draft['query'] =>
          value === null ? [] : [[name, value instanceof Reference ? value : String(value)]],
        ),
      ),
    headers: fc.oneof({ weight: 6, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: repeatedKeyHeader }),
    body:
      media === undefined
        ? fc.constant({ kind: 'none' } as const)
        : fc.record({
            kind: fc.constant('generated' as const),
            value: valueFor(media.schema, '', true),
            asForm: fc.boolean().map((asForm) => asForm && operation.path.startsWith('/approvals')),
            mutation: fc.constant(undefined),
          }),
  });
}

/** Generates valid, nearly valid, and hostile requests to one route. */
function draftFor(operation: DescribedOperation): fc.Arbitrary<Draft> {
  return fc.record({
    operation: fc.constant(operation),
    method: fc.oneof(
      { weight: 60, arbitrary: fc.constant(undefined) },
      { weight: 1, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND') },
    ),
    caller,
    customer: fc.nat(3),
    number: fc.nat(50),
    computer: fc.nat(150),
    path: pathFor(operation),
    query: queryFor(operation),
    headers,
    body: bodyFor(operation),
  });
}

/** Generates valid, nearly valid, and hostile requests to any route. */
export const anyDraft: fc.Arbitrary<Draft> = fc.oneof(
  ...describedOperations.flatMap((operation) => [plausibleDraftFor(operation), draftFor(operation)]),
);
