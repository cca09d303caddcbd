import { parseSync } from 'vite';
import { describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from '../project-files.ts';
import { mutantsOf, redundancyReasonOf, redundantConditions, weakenCondition } from './condition-mutants.ts';

describe('a condition of the store', () => {
  it('is weakened by each of its parts alone, which stays in the text', () => {
    expect(weakenCondition('#free > :none')).toEqual([
      { what: 'without “#free > :none”', text: '((#free > :none) OR NOT (#free > :none))' },
    ]);
    expect(weakenCondition('#a = :a AND #b = :b').map(({ text }) => text)).toEqual([
      '((#a = :a) OR NOT (#a = :a)) AND #b = :b',
      '#a = :a AND ((#b = :b) OR NOT (#b = :b))',
    ]);
  });

  it('that holds in one of two ways loses each of them, and both', () => {
    const either = '#a = :a AND (attribute_not_exists(#b) OR #c < :c)';
    expect(weakenCondition(either).map(({ what }) => what)).toEqual([
      'without “#a = :a”',
      'without “attribute_not_exists(#b) OR #c < :c”',
      'never “attribute_not_exists(#b)”',
      'never “#c < :c”',
    ]);
    expect(weakenCondition(either).at(-1)?.text).toBe(
      '#a = :a AND (attribute_not_exists(#b) OR (#c < :c AND NOT (#c < :c)))',
    );
  });

  it('is found wherever it is written, also where there are two to choose from, and where one is made elsewhere', () => {
    const source = [
      "const a = { ConditionExpression: first ? 'attribute_not_exists(PK)' : `#version = :version` };",
      'const b = [isUnchanged(owned)];',
    ].join('\n');
    expect(mutantsOf('store/a.ts', source).map(({ line, what }) => `${line} ${what}`)).toEqual([
      '1 without “attribute_not_exists(PK)”',
      '1 without “#version = :version”',
      '2 without isUnchanged(owned)',
    ]);
    expect(() => mutantsOf('store/a.ts', 'const c = { ConditionExpression: condition };')).toThrow('store/a.ts:1');
  });

  it('that another says as well is there, each with its reason', () => {
    const mutants = projectFiles('store')
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => mutantsOf(file, readProjectFile(file)));
    const reasons = mutants.flatMap((mutant) => redundancyReasonOf(mutant, mutants) ?? []);
    expect(reasons.toSorted()).toEqual(redundantConditions.map(({ because }) => because).toSorted());
  });

  it('is found in every file of the store that has one, and what is planted can be read', () => {
    const files = projectFiles('store').filter((file) => readProjectFile(file).includes('ConditionExpression:'));
    expect(files).toContain('store/mak-activations.ts');
    for (const file of files) {
      const source = readProjectFile(file);
      const mutants = mutantsOf(file, source);
      expect(mutants).not.toEqual([]);
      const planted = mutants.map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));
      expect(planted.flatMap((text) => parseSync(file, text).errors)).toEqual([]);
    }
  });
});
