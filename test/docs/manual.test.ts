import { describe, expect, it } from 'vitest';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { flags } from '../../domain/exceptions/request.ts';
import { problems } from '../../functions/http/problems.ts';
import { allRoutes, staffRoles } from '../../functions/manifest.ts';
import { projectFiles, readProjectFile } from '../project-files.ts';

const pages = projectFiles('docs/manual').filter((path) => path.endsWith('.md'));
const shapeOf = (path: string) => path.replace(/\?.*$/, '').replace(/\{\w+\}/g, '{}');
const routeShapes = allRoutes().map(({ route }) => shapeOf(route));
const scripts = Object.keys(JSON.parse(readProjectFile('package.json')).scripts);
const productGroups = ['server-a', 'server-b', 'server-c'];
const names: readonly string[] = [
  ...Object.keys(problems),
  ...staffRoles,
  ...flags,
  ...exceptionStatuses,
  ...productGroups,
];

/** Returns the inline code of a page. */
const codeIn = (text: string) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

/** Returns the routes, the npm scripts, and the hyphenated names that a page mentions although they do not exist. */
function unknownIn(text: string): readonly string[] {
  const code = codeIn(text);
  const unknownRoutes = code
    .filter((each) => /^(GET|POST|PUT|PATCH|DELETE) \//.test(each))
    .filter((route) => !routeShapes.includes(shapeOf(route)));
  const unknownScripts = code
    .flatMap((each) => /^npm run ([\w-]+)/.exec(each)?.[1] ?? [])
    .filter((script) => !scripts.includes(script));
  const unknownNames = code.filter((each) => /^[a-z]+(-[a-z]+)+$/.test(each)).filter((name) => !names.includes(name));
  return [...unknownRoutes, ...unknownScripts, ...unknownNames];
}

describe('the manual', () => {
  it('has a page for each of its six readers', () => {
    expect(pages.map((path) => path.split('/').at(-1))).toEqual([
      'call-center-agent.md',
      'exceptions-team.md',
      'license-administrator.md',
      'licensing-admin.md',
      'notices-correspondent.md',
      'operator.md',
    ]);
  });

  it.each(pages)('%s names only routes, scripts, refusals, roles, statuses, and flags that exist', (path) => {
    expect(unknownIn(readProjectFile(path))).toEqual([]);
  });
});

describe('a page of the manual', () => {
  it('cannot name what does not exist', () => {
    const text = '`GET /key/{id}`, `GET /keys/{id}?x=1`, `npm run nothing`, `not-a-refusal`, `key-blocked`';
    expect(unknownIn(text)).toEqual(['GET /key/{id}', 'nothing', 'not-a-refusal']);
  });
});
