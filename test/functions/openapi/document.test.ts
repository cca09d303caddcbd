import { createConfig, lintFromString } from '@redocly/openapi-core';
import { build } from 'esbuild';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import type { ActivationPlan } from '../../../domain/keys/activation-plan.ts';
import type { Grant } from '../../../domain/keys/grant.ts';
import type { UsageForecast } from '../../../domain/keys/usage-forecast.ts';
import type { GenuineValidationResult } from '../../../domain/keys/validation.ts';
import type { RefusalCode, RefusalMembers } from '../../../domain/refusal.ts';
import type { ExceptionDraft, Remedy } from '../../../domain/remedy.ts';
import { problems } from '../../../functions/http/problems.ts';
import { bodies } from '../../../functions/http/request-schemas.ts';
import type * as responseSchemas from '../../../functions/http/response-schemas.ts';
import { allRoutes, entryNamesOf, fileOf } from '../../../functions/manifest.ts';
import { openApiDocument, splitRoute } from '../../../functions/openapi/document.ts';
import type { problemDocs } from '../../../functions/openapi/problem-schemas.ts';
import { problemCodes } from '../../../functions/openapi/problem-schemas.ts';
import { bodyErrors, describedOperations, findViolations } from '../../openapi-conformance.ts';
import { root } from '../../project-files.ts';

const document = openApiDocument();

describe('the OpenAPI document', () => {
  it('is valid OpenAPI 3.1 without linter findings', async () => {
    const config = await createConfig({ extends: ['recommended-strict'] });
    const problemsFound = await lintFromString({
      source: JSON.stringify(document),
      absoluteRef: 'openapi.json',
      config,
    });
    expect(problemsFound.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
  });

  it('has the routes of the manifest', () => {
    const written = describedOperations.map(({ method, path }) => `${method} ${path}`);
    expect(written.toSorted()).toEqual(
      allRoutes()
        .map(({ route }) => route)
        .toSorted(),
    );
  });

  it('is the same each time', () => {
    expect(JSON.stringify(openApiDocument())).toBe(JSON.stringify(document));
  });

  it('has unique operation IDs, and the audience of each operation', () => {
    const names = describedOperations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const { operation } of describedOperations) expect(operation.description).toMatch(/Called by: \S/);
  });

  it('describes every parameter', () => {
    for (const { path, parameters } of describedOperations) {
      for (const { name, description } of parameters) expect(description, `${name} of ${path}`).toMatch(/ .*\.$/);
    }
  });

  it('has the headers for the request ID and for retries', () => {
    for (const { path, operation } of describedOperations) {
      for (const [status, given] of Object.entries(operation.responses)) {
        const response = '$ref' in given ? document.components.responses[given.$ref.split('/').at(-1) ?? ''] : given;
        expect(Object.keys(response?.headers ?? {}), `${status} of ${path}`).toEqual(
          ['429', '503'].includes(status) ? ['X-Request-Id', 'Retry-After'] : ['X-Request-Id'],
        );
      }
    }
  });

  it('has every refusal code on some route', () => {
    const documented = new Set(
      [...JSON.stringify(document).matchAll(/urn:volume-activation:problem:([a-z-]+)/g)].map(([, code]) => code),
    );
    // A wrong method has no operation, so it is described in the introduction.
    const onRoutes = problemCodes.filter((code) => code !== 'method-not-allowed');
    expect([...documented].toSorted()).toEqual(onRoutes.toSorted());
    expect(document.info.description).toContain('`405`');
    expect(problemCodes).toEqual(expect.arrayContaining(Object.keys(problems)));
  });

  it('allows more members in responses, but not in requests', () => {
    expect(document.components.schemas.Agreement).not.toHaveProperty('additionalProperties');
    const closed = openApiDocument({ closed: true }).components.schemas;
    expect(closed.Agreement).toMatchObject({ additionalProperties: false });
    const [intake] = describedOperations.filter(({ operation }) => operation.operationId === 'requestException');
    expect(intake?.operation.requestBody?.content['application/json']?.schema).toMatchObject({
      additionalProperties: false,
    });
  });

  it('AGR-1 requires one agreement number, or two for Open', () => {
    const [intake] = describedOperations.filter(({ operation }) => operation.operationId === 'requestException');
    if (intake === undefined) throw new Error('The route is not described.');
    const example = z
      .record(z.string(), z.unknown())
      .parse(intake.operation.requestBody?.content['application/json']?.example);
    expect(bodyErrors(intake, example)).toEqual([]);
    expect(bodyErrors(intake, { ...example, licenseNumber: 'L-1' })).not.toEqual([]);
    const { agreementNumber: _, ...unnamed } = example;
    expect(bodyErrors(intake, unnamed)).not.toEqual([]);
    expect(bodyErrors(intake, { ...unnamed, authorizationNumber: 'A-1', licenseNumber: 'L-1' })).toEqual([]);
  });
});

describe('an example in the OpenAPI document', () => {
  it.each(Object.entries(bodies))('is a body that the service takes: %s', (route, schema) => {
    const { method, path } = splitRoute(route as keyof typeof bodies);
    const media = document.paths[path]?.[method.toLowerCase()]?.requestBody?.content['application/json'];
    expect(schema.safeParse(media?.example).error?.issues).toBeUndefined();
  });

  it('is valid for every route and every code, without additional members', () => {
    const { responses } = openApiDocument({ closed: true }).components;
    const complaints = describedOperations.flatMap(({ method, path, operation }) =>
      Object.entries(operation.responses).flatMap(([status, given]) => {
        const response = '$ref' in given ? responses[given.$ref.split('/').at(-1) ?? ''] : given;
        return Object.entries(response?.content ?? {}).flatMap(([type, { example, examples = {} }]) => {
          const all = [
            ...(example === undefined ? [] : [example]),
            ...Object.values(examples).map(({ value }) => value),
          ];
          const headers = { get: (name: string) => (name.toLowerCase() === 'content-type' ? type : '1') };
          return all.flatMap((value) =>
            findViolations(method, path, { status: Number(status), headers, text: JSON.stringify(value) }),
          );
        });
      }),
    );
    expect(complaints).toEqual([]);
  });
});

describe('a response that is not as documented', () => {
  const headers = (type: string) => ({
    get: (name: string) => ({ 'content-type': type, 'x-request-id': 'a' })[name.toLowerCase()] ?? null,
  });
  const well = { status: 200, headers: headers('application/json'), text: '{"status":"ok","version":"1"}' };

  it.each([
    ['another status', { ...well, status: 201 }, /201 is not documented/],
    [
      'another media type',
      { ...well, headers: headers('text/plain') },
      /has the type “text\/plain” instead of application\/json/,
    ],
    ['a member more', { ...well, text: '{"status":"ok","version":"1","more":1}' }, /additional properties/],
    ['a member less', { ...well, text: '{"status":"ok"}' }, /version/],
    ['no JSON', { ...well, text: '{' }, /is not JSON/],
    ['no request id', { ...well, headers: { get: () => 'application/json' as string | null } }, undefined],
  ])('is reported: %s', (_, answered, complaint) => {
    const complaints = findViolations('GET', '/health', answered);
    if (complaint !== undefined) expect(complaints).toEqual([expect.stringMatching(complaint)]);
  });

  it('is reported if the request ID is missing', () => {
    const type = { get: (name: string) => (name === 'content-type' ? 'application/json' : null) };
    expect(findViolations('GET', '/health', { ...well, headers: type })).toEqual(['has no X-Request-Id']);
  });

  it('is reported on an address without a route', () => {
    expect(findViolations('GET', '/healthy', well)).toEqual([
      '200 instead of 404 or 405 on a path without an operation',
    ]);
  });

  it('is reported if a problem document has another status than the response', () => {
    const problem = {
      type: 'urn:volume-activation:problem:fault',
      title: 'Something went wrong on our side',
      status: 503,
      code: 'fault',
      detail: 'It has been reported.',
    };
    const answered = { status: 500, headers: headers('application/problem+json'), text: JSON.stringify(problem) };
    expect(findViolations('GET', '/health', answered)).toEqual(['500 names 503 as its status']);
  });

  it('is not reported if it is as documented', () => {
    expect(findViolations('GET', '/health', well)).toEqual([]);
  });
});

describe('a Lambda that does not serve the OpenAPI document', () => {
  const isDocumentation = (file: string) =>
    file.startsWith('functions/openapi/') || file === 'functions/http/response-schemas.ts';

  it.each(entryNamesOf('api'))('has none of its code in the bundle: %s', async (name) => {
    const { metafile } = await build({
      absWorkingDir: root,
      entryPoints: [fileOf(name)],
      bundle: true,
      write: false,
      metafile: true,
      platform: 'node',
      format: 'esm',
      packages: 'external',
    });
    const inputs = Object.keys(metafile.inputs);
    expect(inputs).toContain('functions/http/handler.ts');
    expect(inputs.some(isDocumentation)).toBe(name === 'meta');
  });
});

// The compiler compares the response schemas with the types of the rules: a member that a rule adds, drops, or changes
// does not compile until it is documented.
it('the response schemas accept the values of the rules', () => {
  expectTypeOf<ActivationPlan>().toExtend<z.input<typeof responseSchemas.plan>>();
  expectTypeOf<UsageForecast>().toExtend<z.input<typeof responseSchemas.forecast>>();
  expectTypeOf<GenuineValidationResult>().toExtend<z.input<typeof responseSchemas.validation>>();
  expectTypeOf<Grant>().toExtend<z.input<typeof responseSchemas.grant>>();
  expectTypeOf<Remedy>().toExtend<z.input<typeof responseSchemas.remedy>>();
  expectTypeOf<ExceptionDraft>().toExtend<z.input<typeof responseSchemas.exceptionDraft>>();
  type DocumentedMembers = { [Code in RefusalCode]: z.input<z.ZodObject<(typeof problemDocs)[Code]['members']>> };
  expectTypeOf<RefusalMembers>().toExtend<DocumentedMembers>();
});
