import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { lockDataFolder } from '../../local/data-folder.ts';

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'folder-'));
});
afterEach(() => rmSync(parent, { recursive: true }));

describe('a data folder', () => {
  it('is created if it does not exist', async () => {
    const unlock = await lockDataFolder(join(parent, 'a', 'b'));
    expect(existsSync(join(parent, 'a', 'b'))).toBe(true);
    await unlock();
  });

  it.runIf(process.platform === 'linux')('is locked for one system at a time, also under another name', async () => {
    const unlock = await lockDataFolder(join(parent, 'data'));
    symlinkSync(join(parent, 'data'), join(parent, 'other-name'));
    await expect(lockDataFolder(join(parent, 'other-name'))).rejects.toThrow(
      /^Another system is using the data in .*\.$/,
    );
    await unlock();
    await (await lockDataFolder(join(parent, 'other-name')))();
  });

  it('is refused in one line if it is a file', async () => {
    writeFileSync(join(parent, 'file'), '');
    await expect(lockDataFolder(join(parent, 'file'))).rejects.toThrow(/^DATA is .*file, which cannot be used/);
    await expect(lockDataFolder(join(parent, 'file', 'below'))).rejects.toThrow(
      /^DATA is .*below, which cannot be used/,
    );
  });
});
