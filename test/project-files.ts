import { readdirSync, readFileSync } from 'node:fs';
import { join, matchesGlob } from 'node:path';

/** The project's root folder, absolute. */
export const root = join(import.meta.dirname, '..');

const ignored = readFileSync(join(root, '.gitignore'), 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .map((line) => line.replace(/\/$/, ''))
  .map((line) => (line.startsWith('/') ? line.slice(1) : `**/${line}`));

/**
 * The project's own files, as paths from its root: all but git's folder and what `.gitignore` names. The files are read
 * and not git's list of them, so that an exported copy without its history is judged alike.
 */
export function projectFiles(folder = ''): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (path === '.git' || ignored.some((pattern) => matchesGlob(path, pattern))) return [];
    return entry.isDirectory() ? projectFiles(path) : [path];
  });
}

/** The text of a file of the project, by its path from the root. */
export function readProjectFile(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}
