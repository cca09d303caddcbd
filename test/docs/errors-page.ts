import { allRoutes } from '../../functions/manifest.ts';
import type { Schema } from '../../functions/openapi/document.ts';
import { codesOf, openApiDocument } from '../../functions/openapi/document.ts';
import type { ProblemCode } from '../../functions/openapi/problem-schemas.ts';
import {
  described,
  isTrouble,
  problemCodes,
  problemHead,
  problemName,
} from '../../functions/openapi/problem-schemas.ts';

/** Which routes answer a code, and with which status. */
function whereAnswered(code: ProblemCode): readonly { readonly route: string; readonly status: number }[] {
  return allRoutes().flatMap(({ route, who }) =>
    [...codesOf(route, who)].flatMap(([status, codes]) => (codes.includes(code) ? [{ route, status }] : [])),
  );
}

function row(code: ProblemCode, schemas: Readonly<Record<string, Schema>>): string {
  const { when, advice, members } = described[code];
  const own = Object.keys(members).map((name) => {
    const member = schemas[problemName(code)]?.properties?.[name];
    const says = typeof member === 'object' ? member.description : undefined;
    return `\`${name}\`${says === undefined ? '' : `: ${says}`}`;
  });
  const statuses = [...new Set([problemHead(code).status, ...whereAnswered(code).map(({ status }) => status)])];
  return `| \`${code}\` | ${statuses.join(', ')} | ${when} | ${advice} | ${own.join('<br>')} |`;
}

/** `docs/errors.md`, made of the codes themselves. */
export function errorsPage(): string {
  const { schemas } = openApiDocument().components;
  const refusals = problemCodes.filter((code) => !isTrouble(code));
  const table = (codes: readonly ProblemCode[]) =>
    [
      '| code | status | when | what to do | carries |',
      '|---|---|---|---|---|',
      ...codes.map((code) => row(code, schemas)),
    ].join('\n');
  // What most routes can answer is told once.
  const everywhere = allRoutes().length / 4;
  const general = refusals.filter((code) => whereAnswered(code).length > everywhere);
  const own = refusals.filter((code) => !general.includes(code));
  const routes = own.map(
    (code) =>
      `| \`${code}\` | ${whereAnswered(code)
        .map(({ route, status }) => `\`${route}\`${status === problemHead(code).status ? '' : ` (${status})`}`)
        .join('<br>')} |`,
  );
  return `# Error codes

Every “no” is a problem document (RFC 9457, \`application/problem+json\`): \`type\`, \`title\`, \`status\`, \`code\`, \`detail\` and, for some
codes, more. Programs rely on \`code\`; \`detail\` is a sentence for a person. This page is made of the code and held to it by a test
(\`npx vitest run test/docs/errors-page.test.ts -u\` writes it anew).

## What almost every route can say

${table(general)}

## What is wrong with us

None of these is the caller's fault, and all can be sent again.

${table(problemCodes.filter(isTrouble))}

## What the rules say

${table(own)}

## Which route says it

| code | routes |
|---|---|
${routes.join('\n')}
`;
}
