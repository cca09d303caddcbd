import { describe, expect, it } from 'vitest';
import { exceptionStatuses } from '../../domain/exception-status.ts';
import { flags } from '../../domain/exceptions/request.ts';
import { problems } from '../../functions/http/problems.ts';
import { allRoutes, staffRoles } from '../../functions/manifest.ts';
import { projectFiles, readProjectFile } from '../project-files.ts';

const pages = projectFiles('docs/manual').filter((path) => path.endsWith('.md'));
const shapeOf = (path: string) => path.replace(/\?.*$/, '').replace(/\{\w+\}/g, '{}');
const shapes = allRoutes().map(({ route }) => shapeOf(route));
const scripts = Object.keys(JSON.parse(readProjectFile('package.json')).scripts);

/** Everything that a page sets as code. */
const codeIn = (text: string) => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);

/** What a page names that is not there: routes, commands, refusals, roles, flags. */
function unknownIn(text: string): readonly string[] {
  const code = codeIn(text);
  const routes = code
    .filter((each) => /^(GET|POST|PUT) \//.test(each))
    .filter((each) => !shapes.includes(shapeOf(each)));
  const commands = code
    .flatMap((each) => /^npm run ([\w-]+)/.exec(each)?.[1] ?? [])
    .filter((name) => !scripts.includes(name));
  const known: readonly string[] = [
    ...Object.keys(problems),
    ...staffRoles,
    ...flags,
    ...exceptionStatuses,
    'call-center',
  ];
  const names = code.filter((each) => /^[a-z]+(-[a-z]+)+$/.test(each)).filter((each) => !known.includes(each));
  const groups = ['server-a', 'server-b', 'server-c'];
  return [...routes, ...commands, ...names.filter((each) => !groups.includes(each))];
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

  it.each(pages)('%s names only routes, commands, refusals, roles and flags that there are', (path) => {
    expect(unknownIn(readProjectFile(path))).toEqual([]);
  });

  it('would be caught naming others', () => {
    const text = '`GET /key/{id}`, `GET /keys/{id}?x=1`, `npm run nothing`, `not-a-refusal`, `key-blocked`';
    expect(unknownIn(text)).toEqual(['GET /key/{id}', 'nothing', 'not-a-refusal']);
  });
});
