import { allRoutes } from '../../functions/manifest.ts';
import type { Schema } from '../../functions/openapi/document.ts';
import { openApiDocument, problemCodesOf } from '../../functions/openapi/document.ts';
import type { ProblemCode } from '../../functions/openapi/problem-schemas.ts';
import {
  isServiceProblem,
  problemCodes,
  problemDocs,
  problemHead,
  problemSchemaName,
} from '../../functions/openapi/problem-schemas.ts';

/** Returns the routes that can answer a code, each with the status. */
function routesAnswering(code: ProblemCode): readonly { readonly route: string; readonly status: number }[] {
  return allRoutes().flatMap(({ route, audience: who }) =>
    [...problemCodesOf(route, who)].flatMap(([status, codes]) => (codes.includes(code) ? [{ route, status }] : [])),
  );
}

function row(code: ProblemCode, schemas: Readonly<Record<string, Schema>>): string {
  const { when, advice, members } = problemDocs[code];
  const own = Object.keys(members).map((name) => {
    const member = schemas[problemSchemaName(code)]?.properties?.[name];
    const description = typeof member === 'object' ? member.description : undefined;
    return `\`${name}\`${description === undefined ? '' : `: ${description}`}`;
  });
  const statuses = [...new Set([problemHead(code).status, ...routesAnswering(code).map(({ status }) => status)])];
  return `| \`${code}\` | ${statuses.join(', ')} | ${when} | ${advice} | ${own.join('<br>')} |`;
}

/** Renders `docs/errors.md` from the problem codes. */
export function renderErrorsPage(): string {
  const { schemas } = openApiDocument().components;
  const refusals = problemCodes.filter((code) => !isServiceProblem(code));
  const table = (codes: readonly ProblemCode[]) =>
    [
      '| Code | Status | When | What to do | Members |',
      '|---|---|---|---|---|',
      ...codes.map((code) => row(code, schemas)),
    ].join('\n');
  // Codes of most routes are listed once, in a table of their own.
  const generalThreshold = allRoutes().length / 4;
  const general = refusals.filter((code) => routesAnswering(code).length > generalThreshold);
  const own = refusals.filter((code) => !general.includes(code));
  const routes = own.map(
    (code) =>
      `| \`${code}\` | ${routesAnswering(code)
        .map(({ route, status }) => `\`${route}\`${status === problemHead(code).status ? '' : ` (${status})`}`)
        .join('<br>')} |`,
  );
  return `# Error codes

Every error is a problem document (RFC 9457, \`application/problem+json\`) with \`type\`, \`title\`, \`status\`, \`code\`, \`detail\`, and, for
some codes, more members. Programs use \`code\`; \`detail\` is a sentence for a person. A test generates this page and compares it
(\`npx vitest run test/docs/errors-page.test.ts -u\` updates it).

## Errors of almost every route

${table(general)}

## Server errors and throttling

The request is not the cause of these errors. It can be sent again.

${table(problemCodes.filter(isServiceProblem))}

## Refusals of the rules

${table(own)}

## Routes of each code

| Code | Routes |
|---|---|
${routes.join('\n')}
`;
}
