import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root } from '../project-files.ts';

describe('the run against an emulator, on a machine without Python', () => {
  it('says so in one line and ends with exit code 1', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['test/e2e/main.ts'], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: '/nowhere' },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe('The emulator of AWS needs Python 3.10 or later, and there is no python3.\n');
  });
});
