import { execFileSync } from 'node:child_process';
import { afterAll, describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from '../project-files.ts';
import { addressOf, hasCurl, spawnSystem, stopAll } from './spawned.ts';

afterAll(stopAll);

/** The commands of a part of the README, as they stand there. */
function commandsUnder(heading: string): string {
  const [, part = ''] = readProjectFile('README.md').split(`## ${heading}\n`);
  const [own = ''] = part.split('\n## ');
  return [...own.matchAll(/```sh\n(.*?)```/gs)].map(([, commands]) => commands).join('\n');
}

describe('the walk in the README', () => {
  it.runIf(hasCurl)('leads, pasted as it stands, from a limit that is reached to one that has risen', async () => {
    const address = await addressOf(spawnSystem({ SEED: '' }));
    const commands = commandsUnder('Walk through it').replaceAll('http://localhost:3000', address);
    const said = execFileSync('sh', ['-eu'], { input: commands, encoding: 'utf8' });
    for (const line of [/^"type":"MAK"/m, /^"limit":50\b/m, /^"used":48\b/m]) expect(said).toMatch(line);
    expect(said.match(/"confirmationId"/g)).toHaveLength(2);
    expect(said.match(/"code":"activation-limit-reached"/g)).toHaveLength(1);
    for (const line of [/^"exceptionId":"EX-/m, /^"status":"received"/m, /^"dueAt":/m]) expect(said).toMatch(line);
    expect(said).toMatch(/\{"decision":"approve","decidedAt":"[^"]+"\}/);
    for (const line of [/^"limit":200\b/m, /^"used":50\b/m, /^"remaining":150\b/m]) expect(said).toMatch(line);
    expect(said.match(/"kind":"(initial|exception)"/g)).toHaveLength(2);
  });
});

describe('the documents', () => {
  const documents = projectFiles().filter((path) => path === 'README.md' || /^docs\/[^/]+\.md$/.test(path));

  it('lead to files that there are', () => {
    const paths = new Set(projectFiles());
    const leads = documents.flatMap((from) =>
      [...readProjectFile(from).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)].map(([, to = '']) => ({
        from,
        to: new URL(to, `file:///${from}`).pathname.slice(1),
      })),
    );
    expect(leads.length).toBeGreaterThan(5);
    expect(leads.filter(({ to }) => !paths.has(to))).toEqual([]);
  });
});
