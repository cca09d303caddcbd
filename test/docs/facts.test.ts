import { describe, expect, it } from 'vitest';
import { manifest } from '../../functions/manifest.ts';
import { stageSchema } from '../../infra/stage.ts';
import { projectFiles, readProjectFile } from '../project-files.ts';

const pages = projectFiles().filter((path) => /^[^/]+\.md$/.test(path) || /^docs\/.+\.md$/.test(path));
const scripts = Object.keys(JSON.parse(readProjectFile('package.json')).scripts);

/** Returns the first cell of each row of the first table under a heading, as the names that it sets as code. */
function namesInTable(page: string, heading: string): readonly string[] {
  const [, section = ''] = readProjectFile(page).split(`## ${heading}\n`);
  const [own = ''] = section.split('\n## ');
  const cells = [...own.matchAll(/^\| (`.+?) \|/gm)].map(([, cell = '']) => cell);
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name));
}

describe('the architecture diagram', () => {
  it.each(Object.keys(manifest))('names the function %s', (name) => {
    expect(readProjectFile('docs/architecture.svg')).toMatch(new RegExp(`>[^<]*\\b${name}\\b[^<]*</text>`));
  });
});

describe('the page on deployment', () => {
  it('explains every setting of a stage and no other', () => {
    const named = namesInTable('docs/deploy.md', 'Configure a stage').map((name) => name.split('.')[0]);
    expect([...new Set(named)].toSorted()).toEqual(Object.keys(stageSchema.unwrap().shape).toSorted());
  });
});

describe('the commands in the documentation', () => {
  it.each(pages)('%s names only npm scripts that exist', (page) => {
    const named = [...readProjectFile(page).matchAll(/\bnpm run ([a-z][\w-]*)/g)].map(([, name = '']) => name);
    expect(named.filter((name) => !scripts.includes(name))).toEqual([]);
  });
});
