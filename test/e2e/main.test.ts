import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root } from '../project-files.ts';

describe('the end-to-end test on a machine without Python', () => {
  it('reports it in one line and exits with 1', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, ['test/e2e/main.ts'], {
      cwd: root,
      encoding: 'utf8',
      env: { PATH: '/nowhere' },
    });
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toBe('The AWS emulator requires Python 3.10 or later, but there is no python3.\n');
  });
});
