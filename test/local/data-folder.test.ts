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

describe('a folder for the data', () => {
  it('is made where there is none', async () => {
    const giveBack = await lockDataFolder(join(parent, 'a', 'b'));
    expect(existsSync(join(parent, 'a', 'b'))).toBe(true);
    await giveBack();
  });

  it.runIf(process.platform === 'linux')('is one system’s at a time, by whatever name', async () => {
    const giveBack = await lockDataFolder(join(parent, 'data'));
    symlinkSync(join(parent, 'data'), join(parent, 'other-name'));
    await expect(lockDataFolder(join(parent, 'other-name'))).rejects.toThrow(
      /^Another system is using the data in .*\.$/,
    );
    await giveBack();
    await (await lockDataFolder(join(parent, 'other-name')))();
  });

  it('is refused in one line where it is a file', async () => {
    writeFileSync(join(parent, 'file'), '');
    await expect(lockDataFolder(join(parent, 'file'))).rejects.toThrow(/^DATA names .*file, which cannot be used/);
    await expect(lockDataFolder(join(parent, 'file', 'below'))).rejects.toThrow(
      /^DATA names .*below, which cannot be used/,
    );
  });
});
