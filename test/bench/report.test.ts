import { describe, expect, it } from 'vitest';
import type { Measurement } from '../../bench/report.ts';
import { markdown, meetsTarget, missedTargets, table } from '../../bench/report.ts';

const slow: Measurement = { what: 'activations', value: 0.8, unit: '×', target: { atLeast: 0.85 } };
const small: Measurement = {
  what: 'round trips',
  value: 1,
  unit: 'trips',
  target: { atMost: 1 },
  isDeterministic: true,
};
const told: Measurement = { what: 'loading', value: 1234.5, unit: 'ms', baseline: { what: 'KB', value: 12.345 } };
const measured = { start: [slow, told], units: [small] };

describe('what was measured', () => {
  it('reaches its figure when it is as much, or as little, as the figure says', () => {
    expect([slow, small, told].map(meetsTarget)).toEqual([false, true, undefined]);
    expect(missedTargets(measured)).toEqual([slow]);
  });

  it('is one table for a terminal, in which what is missed stands out', () => {
    const lines = table(measured).split('\n');
    expect(lines.filter((line) => line.includes('missed'))).toEqual([
      expect.stringMatching(/activations .*0\.80 × .*≥ 0\.85/),
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/loading .*1,235 ms .*12\.3 KB/));
    expect(lines).toContainEqual(expect.stringMatching(/round trips .*1 trips .*≤ 1 .*✓/));
  });

  it('is a table for each part on a page', () => {
    expect(markdown(measured).split('\n\n')).toEqual([
      [
        '| **start** | measured | beside | figure |',
        '|---|---:|---|---|',
        '| activations | 0.80 × |  | ≥ 0.85, **missed** |',
        '| loading | 1,235 ms | 12.3 KB |  |',
      ].join('\n'),
      ['| **units** | measured | beside | figure |', '|---|---:|---|---|', '| round trips | 1 trips |  | ≤ 1 |'].join(
        '\n',
      ),
    ]);
  });
});
