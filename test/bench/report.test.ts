import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../bench/report.ts';
import { markdown, meetsTarget, missedTargets, table } from '../../bench/report.ts';

const slow: Measurement = { label: 'activations', value: 0.8, unit: '×', target: { atLeast: 0.85 } };
const small: Measurement = {
  label: 'round trips',
  value: 1,
  unit: 'trips',
  target: { atMost: 1 },
  isDeterministic: true,
};
const untargeted: Measurement = {
  label: 'loading',
  value: 1234.5,
  unit: 'ms',
  baseline: { label: 'KB', value: 12.345 },
};
const report = { 'cold-start': [slow, untargeted], units: [small] };

describe('a report of measurements', () => {
  it('compares each value with its minimum or maximum target', () => {
    expect([slow, small, untargeted].map(meetsTarget)).toEqual([false, true, undefined]);
    expect(missedTargets(report)).toEqual([slow]);
  });

  it('is one table on the terminal, which marks missed targets', () => {
    const lines = table(report).split('\n');
    expect(lines.filter((line) => line.includes('missed'))).toEqual([
      expect.stringMatching(/activations .*0\.80 × .*≥ 0\.85/),
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/loading .*1,235 ms .*12\.3 KB/));
    expect(lines).toContainEqual(expect.stringMatching(/round trips .*1 trips .*≤ 1 .*✓/));
  });

  it('is one table for each part in Markdown', () => {
    expect(markdown(report).split('\n\n')).toEqual([
      [
        '| **cold-start** | measured | baseline or detail | target |',
        '|---|---:|---|---|',
        '| activations | 0.80 × |  | ≥ 0.85, **missed** |',
        '| loading | 1,235 ms | 12.3 KB |  |',
      ].join('\n'),
      [
        '| **units** | measured | baseline or detail | target |',
        '|---|---:|---|---|',
        '| round trips | 1 trips |  | ≤ 1 |',
      ].join('\n'),
    ]);
  });
});
