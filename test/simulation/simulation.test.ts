import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root } from '../project-files.ts';

function simulate(...options: readonly string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['test/simulation/main.ts', ...options], {
    cwd: root,
    encoding: 'utf8',
  });
  return { status, stdout, trace: /trace (\w+)/.exec(stdout)?.[1], stderr };
}

describe('a short simulation', () => {
  it('violates no invariant, and has the same trace in every run', () => {
    const [one, other] = [
      simulate('--seed', '11', '--operations', '60'),
      simulate('--seed', '11', '--operations', '60'),
    ];
    expect(one.stderr).toBe('');
    expect(one.status, one.stdout).toBe(0);
    expect(one.trace).toMatch(/^[0-9a-f]{16}$/);
    expect(other.trace).toBe(one.trace);
  }, 120_000);

  it('MAK-2 finds a computer that counts twice, and prints the trace', () => {
    const { status, stdout } = simulate(
      '--seed',
      '4',
      '--operations',
      '60',
      '--bug',
      'A repeated activation counts again',
      '--shrink',
      '5',
    );
    expect(status).toBe(1);
    expect(stdout).toContain('KEY-7 Used slots equal the activated computers');
    expect(stdout).toContain('To reproduce: npm run simulate -- --seed 4 --operations 60');
  }, 120_000);
});
