import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root } from '../project-files.ts';

function simulate(...options: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/simulation/main.ts', ...options], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, history: /history (\w+)/.exec(stdout)?.[1], stderr };
}

describe('a small simulation', () => {
  it('holds every rule, and has the same history whenever it is run', () => {
    const [one, other] = [
      simulate('--seed', '11', '--operations', '60'),
      simulate('--seed', '11', '--operations', '60'),
    ];
    expect(one.stderr).toBe('');
    expect(one.status, one.stdout).toBe(0);
    expect(one.history).toMatch(/^[0-9a-f]{16}$/);
    expect(other.history).toBe(one.history);
  }, 120_000);

  it('MAK-2 finds a machine that is counted twice, and prints what led to it', () => {
    const { status, stdout } = simulate(
      '--seed',
      '4',
      '--operations',
      '60',
      '--plant',
      'a known machine counts again',
      '--shrink',
      '5',
    );
    expect(status).toBe(1);
    expect(stdout).toContain('KEY-7 used are the machines');
    expect(stdout).toContain('Again: npm run simulate -- --seed 4 --operations 60');
  }, 120_000);
});
