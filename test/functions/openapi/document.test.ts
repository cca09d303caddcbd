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
import type * as answers from '../../../functions/http/response-schemas.ts';
import { allRoutes, entryNamesOf, fileOf } from '../../../functions/manifest.ts';
import { openApiDocument, splitRoute } from '../../../functions/openapi/document.ts';
import type { problemDocs } from '../../../functions/openapi/problem-schemas.ts';
import { problemCodes } from '../../../functions/openapi/problem-schemas.ts';
import { bodyErrors, describedOperations, findViolations } from '../../openapi-conformance.ts';
import { root } from '../../project-files.ts';

const document = openApiDocument();

describe('the published description', () => {
  it('is an OpenAPI 3.1 document in which a linter finds nothing to complain of', async () => {
    const config = await createConfig({ extends: ['recommended-strict'] });
    const problemsFound = await lintFromString({
      source: JSON.stringify(document),
      absoluteRef: 'openapi.json',
      config,
    });
    expect(problemsFound.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer])).toEqual([]);
  });

  it('has every route of the manifest and no other', () => {
    const written = describedOperations.map(({ method, path }) => `${method} ${path}`);
    expect(written.toSorted()).toEqual(
      allRoutes()
        .map(({ route }) => route)
        .toSorted(),
    );
  });

  it('is the same each time that it is made', () => {
    expect(JSON.stringify(openApiDocument())).toBe(JSON.stringify(document));
  });

  it('names no operation twice, and says of each who may call it', () => {
    const names = describedOperations.map(({ operation }) => operation.operationId);
    expect(new Set(names).size).toBe(names.length);
    for (const { operation } of describedOperations) expect(operation.description).toMatch(/Called by: \S/);
  });

  it('explains every parameter in words', () => {
    for (const { path, parameters } of describedOperations) {
      for (const { name, description } of parameters) expect(description, `${name} of ${path}`).toMatch(/ .*\.$/);
    }
  });

  it('says that answers carry a request id, and when to come back where they say so', () => {
    for (const { path, operation } of describedOperations) {
      for (const [status, given] of Object.entries(operation.responses)) {
        const response = '$ref' in given ? document.components.responses[given.$ref.split('/').at(-1) ?? ''] : given;
        expect(Object.keys(response?.headers ?? {}), `${status} of ${path}`).toEqual(
          ['429', '503'].includes(status) ? ['X-Request-Id', 'Retry-After'] : ['X-Request-Id'],
        );
      }
    }
  });

  it('has every code that something is refused with on some route', () => {
    const told = new Set(
      [...JSON.stringify(document).matchAll(/urn:volume-activation:problem:([a-z-]+)/g)].map(([, code]) => code),
    );
    expect([...told].toSorted()).toEqual([...problemCodes].toSorted());
    expect(problemCodes).toEqual(expect.arrayContaining(Object.keys(problems)));
  });

  it('lets answers get more members, but not what is sent', () => {
    expect(document.components.schemas.Agreement).not.toHaveProperty('additionalProperties');
    const closed = openApiDocument({ closed: true }).components.schemas;
    expect(closed.Agreement).toMatchObject({ additionalProperties: false });
    const [intake] = describedOperations.filter(({ operation }) => operation.operationId === 'requestException');
    expect(intake?.operation.requestBody?.content['application/json']?.schema).toMatchObject({
      additionalProperties: false,
    });
  });

  it('AGR-1 says that an agreement is named by one number or by two', () => {
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

describe('an example of the description', () => {
  it.each(Object.entries(bodies))('is a body that the service takes: %s', (route, schema) => {
    const { method, path } = splitRoute(route as keyof typeof bodies);
    const media = document.paths[path]?.[method.toLowerCase()]?.requestBody?.content['application/json'];
    expect(schema.safeParse(media?.example).error?.issues).toBeUndefined();
  });

  it('is an answer as described, with no member more, on every route and for every code', () => {
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

describe('an answer that is not as described', () => {
  const headers = (type: string) => ({
    get: (name: string) => ({ 'content-type': type, 'x-request-id': 'a' })[name.toLowerCase()] ?? null,
  });
  const well = { status: 200, headers: headers('application/json'), text: '{"status":"ok","version":"1"}' };

  it.each([
    ['another status', { ...well, status: 201 }, /201 is not described/],
    ['another media type', { ...well, headers: headers('text/plain') }, /comes as “text\/plain”/],
    ['a member more', { ...well, text: '{"status":"ok","version":"1","more":1}' }, /additional properties/],
    ['a member less', { ...well, text: '{"status":"ok"}' }, /version/],
    ['no JSON', { ...well, text: '{' }, /is not JSON/],
    ['no request id', { ...well, headers: { get: () => 'application/json' as string | null } }, undefined],
  ])('is complained of: %s', (_, answered, complaint) => {
    const complaints = findViolations('GET', '/health', answered);
    if (complaint !== undefined) expect(complaints).toEqual([expect.stringMatching(complaint)]);
  });

  it('is complained of where there is no request id', () => {
    const type = { get: (name: string) => (name === 'content-type' ? 'application/json' : null) };
    expect(findViolations('GET', '/health', { ...well, headers: type })).toEqual(['has no X-Request-Id']);
  });

  it('is complained of where no route is and yet something was answered', () => {
    expect(findViolations('GET', '/healthy', well)).toEqual(['200 where no route is, in place of 404']);
  });

  it('is complained of where a problem names another status than its own', () => {
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

  it('is nothing to complain of when it is as described', () => {
    expect(findViolations('GET', '/health', well)).toEqual([]);
  });
});

describe('the description', () => {
  const ours = new Set(
    ['openapi', 'answers', 'described-routes', 'problem-documents', 'example-world', 'docs-page'].map(
      (name) => `functions/${name}.ts`,
    ),
  );

  it.each(entryNamesOf('api').filter((name) => name !== 'meta'))(
    'is in no bundle of a function that does work: %s',
    async (name) => {
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
      const inside = Object.keys(metafile.inputs);
      expect(inside).toContain('functions/http/handler.ts');
      expect(inside.filter((file) => ours.has(file))).toEqual([]);
    },
  );
});

// The compiler holds the schemas of answers against what the rules give: a member that a rule gains, loses or changes does
// not compile until it is described.
it('takes what the rules give as it is', () => {
  expectTypeOf<ActivationPlan>().toExtend<z.input<typeof answers.plan>>();
  expectTypeOf<UsageForecast>().toExtend<z.input<typeof answers.forecast>>();
  expectTypeOf<GenuineValidationResult>().toExtend<z.input<typeof answers.validation>>();
  expectTypeOf<Grant>().toExtend<z.input<typeof answers.grant>>();
  expectTypeOf<Remedy>().toExtend<z.input<typeof answers.remedy>>();
  expectTypeOf<ExceptionDraft>().toExtend<z.input<typeof answers.exceptionDraft>>();
  type Told = { [Code in RefusalCode]: z.input<z.ZodObject<(typeof problemDocs)[Code]['members']>> };
  expectTypeOf<RefusalMembers>().toExtend<Told>();
});
