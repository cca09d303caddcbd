import { parseSync } from 'vite';
import { describe, expect, it } from 'vitest';
import { projectFiles, readProjectFile } from '../project-files.ts';
import { mutantsOf, redundancyReasonOf, redundantConditions, weakenCondition } from './condition-mutants.ts';

describe('weakening a condition of the store', () => {
  it('disables each part alone and keeps it in the text', () => {
    expect(weakenCondition('#available > :none')).toEqual([
      { description: 'without “#available > :none”', text: '((#available > :none) OR NOT (#available > :none))' },
    ]);
    expect(weakenCondition('#a = :a AND #b = :b').map(({ text }) => text)).toEqual([
      '((#a = :a) OR NOT (#a = :a)) AND #b = :b',
      '#a = :a AND ((#b = :b) OR NOT (#b = :b))',
    ]);
  });

  it('disables each of two alternatives, and both together', () => {
    const either = '#a = :a AND (attribute_not_exists(#b) OR #c < :c)';
    expect(weakenCondition(either).map(({ description }) => description)).toEqual([
      'without “#a = :a”',
      'without “attribute_not_exists(#b) OR #c < :c”',
      'never “attribute_not_exists(#b)”',
      'never “#c < :c”',
    ]);
    expect(weakenCondition(either).at(-1)?.text).toBe(
      '#a = :a AND (attribute_not_exists(#b) OR (#c < :c AND NOT (#c < :c)))',
    );
  });

  it('finds conditions in literals, in both branches of a choice, and in calls that return a condition check', () => {
    const source = [
      "const a = { ConditionExpression: first ? 'attribute_not_exists(PK)' : `#version = :version` };",
      'const b = [requireUnchanged(record)];',
    ].join('\n');
    expect(mutantsOf('store/a.ts', source).map(({ line, description }) => `${line} ${description}`)).toEqual([
      '1 without “attribute_not_exists(PK)”',
      '1 without “#version = :version”',
      '2 without requireUnchanged(record)',
    ]);
    expect(() => mutantsOf('store/a.ts', 'const c = { ConditionExpression: condition };')).toThrow('store/a.ts:1');
  });

  it('finds the clauses of a condition that are named by constants', () => {
    const source = [
      "const expired = '#expiresAt < :now';",
      `const a = [{ ConditionExpression: expired }, { ConditionExpression: \`\${expired} AND \${itemExists}\` }];`,
    ].join('\n');
    expect(mutantsOf('store/a.ts', source).map(({ description }) => description)).toEqual([
      'without “#expiresAt < :now”',
      'without “#expiresAt < :now”',
      'without “attribute_exists(PK)”',
    ]);
  });

  it('matches each redundant condition with its reason', () => {
    const mutants = projectFiles('store')
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => mutantsOf(file, readProjectFile(file)));
    const reasons = mutants.flatMap((mutant) => redundancyReasonOf(mutant, mutants) ?? []);
    expect(reasons.toSorted()).toEqual(redundantConditions.map(({ because }) => because).toSorted());
  });

  it('finds a mutant in every file of the store with a condition, and each mutant parses', () => {
    const files = projectFiles('store').filter((file) => readProjectFile(file).includes('ConditionExpression:'));
    expect(files).toContain('store/mak-activations.ts');
    for (const file of files) {
      const source = readProjectFile(file);
      const mutants = mutantsOf(file, source);
      expect(mutants).not.toEqual([]);
      const mutatedSources = mutants.map(({ start, end, text }) => source.slice(0, start) + text + source.slice(end));
      expect(mutatedSources.flatMap((text) => parseSync(file, text).errors)).toEqual([]);
    }
  });
});
