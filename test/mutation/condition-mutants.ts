import { type ESTree, parseSync, Visitor } from 'vite';
import * as sharedClauses from '../../store/dynamodb/conditions.ts';
import { liveAndCurrentLayout } from '../../store/mak-bucket.ts';

/** A small bug: a part of a source file is replaced by `text`. */
export type Mutant = {
  readonly file: string;
  readonly line: number;
  readonly description: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
};

/**
 * Conditions that repeat another condition of the same transaction, or a fact that always holds. No test can detect
 * their removal. They stay, so that a change of one condition does not depend on the other.
 */
export const redundantConditions: readonly {
  readonly file: string;
  readonly description: string;
  /** The position among the mutants of the file with that description, from 1. */
  readonly occurrence: number;
  readonly because: string;
}[] = [
  {
    file: 'store/dynamodb/versioned-item.ts',
    description: 'without “attribute_not_exists(PK)”',
    occurrence: 1,
    because: 'The first entry of its ledger is written with the same condition.',
  },
  {
    file: 'store/keys.ts',
    description: 'without “attribute_not_exists(PK)”',
    occurrence: 1,
    because: 'The key itself is written with the same condition, and never without its reserve.',
  },
  {
    file: 'store/key-replacement.ts',
    description: 'without “attribute_not_exists(PK)”',
    occurrence: 1,
    because: 'The successor itself is written with the same condition, and never without its reserve.',
  },
  {
    file: 'store/mak-activations.ts',
    description: 'without “attribute_exists(PK)”',
    occurrence: 1,
    because: 'Every MAK has a reserve, and nothing deletes it.',
  },
  {
    file: 'store/mak-usage.ts',
    description: 'without “attribute_exists(PK)”',
    occurrence: 1,
    because: 'The bucket was just read, and nothing deletes a bucket.',
  },
  {
    file: 'store/mak-activations.ts',
    description: 'without “#available = :none”',
    occurrence: 1,
    because: 'Slots enter the reserve only with a limit increase, which changes its total.',
  },
  {
    file: 'store/mak-activations.ts',
    description: 'without “#bucketCount = :bucketCount”',
    occurrence: 3,
    because:
      'If the bucket was split meanwhile, its other half exists, and that half is written only if it does not exist.',
  },
  {
    file: 'store/mak-activations.ts',
    description: 'without “attribute_not_exists(PK)”',
    occurrence: 1,
    because: 'If the other half exists, the bucket was split, and has a higher bucket count than was read.',
  },
];

/** Returns the reason why no test can detect a mutant, or undefined. `mutants` are all mutants of its file. */
export function redundancyReasonOf(mutant: Mutant, mutants: readonly Mutant[]): string | undefined {
  const isSame = (each: { readonly file: string; readonly description: string }) =>
    each.file === mutant.file && each.description === mutant.description;
  const occurrence = mutants.filter(isSame).indexOf(mutant) + 1;
  return redundantConditions.find((each) => isSame(each) && each.occurrence === occurrence)?.because;
}

/** Functions that return a condition check for a transaction. Each call of one is a condition that can be missing. */
const checks = ['requireUnchanged', 'requireLiveKey'];

/** Returns a mutant for each part of each condition in a source file of the store. */
export function mutantsOf(file: string, source: string): Mutant[] {
  const mutants: Mutant[] = [];
  const lineAt = (start: number) => source.slice(0, start).split('\n').length;
  const { program } = parseSync(file, source);
  const clauses = clausesIn(program);
  const visitCondition = (node: ESTree.Node): void => {
    if (node.type === 'ConditionalExpression') {
      visitCondition(node.consequent);
      visitCondition(node.alternate);
      return;
    }
    const { start, end } = node;
    const condition =
      node.type === 'Identifier'
        ? clauses.get(node.name)
        : node.type === 'Literal' || node.type === 'TemplateLiteral'
          ? source.slice(start + 1, end - 1).replace(/\$\{(\w+)\}/g, (part, name) => clauses.get(name) ?? part)
          : undefined;
    if (condition === undefined) throw new Error(`${file}:${lineAt(start)} has a condition that is not a literal.`);
    for (const { description, text } of weakenCondition(condition)) {
      mutants.push({ file, line: lineAt(start), description, start, end, text: `\`${text}\`` });
    }
  };
  new Visitor({
    Property({ key, value }) {
      if (key.type === 'Identifier' && key.name === 'ConditionExpression') visitCondition(value);
    },
    CallExpression({ callee, start, end }) {
      if (callee.type !== 'Identifier' || !checks.includes(callee.name)) return;
      const check = source.slice(start, end);
      mutants.push({
        file,
        line: lineAt(start),
        description: `without ${check}`,
        start,
        end,
        text: `(({ ConditionCheck: { ConditionExpression: it, ...rest } }) => ({ ConditionCheck: { ...rest, ConditionExpression: \`(\${it}) OR NOT (\${it})\` } }))(${check})`,
      });
    },
  }).visit(program);
  return mutants;
}

/**
 * Returns the named clauses of condition expressions: the constants of a file that are strings, and the shared ones.
 */
function clausesIn(program: ESTree.Program): ReadonlyMap<string, string> {
  const clauses = new Map<string, string>(Object.entries({ ...sharedClauses, liveAndCurrentLayout }));
  new Visitor({
    VariableDeclarator({ id, init }) {
      if (id.type === 'Identifier' && init?.type === 'Literal' && typeof init.value === 'string')
        clauses.set(id.name, init.value);
    },
  }).visit(program);
  return clauses;
}

/**
 * Returns a condition with each of its parts disabled in turn. The part stays in the text, because DynamoDB rejects
 * unused names and values: it becomes always true or, as one alternative of an OR, always false.
 */
export function weakenCondition(condition: string): { readonly description: string; readonly text: string }[] {
  const inner = /^\(.*\)$/.test(condition) && splitAt(condition, ' AND ').length === 1 ? condition.slice(1, -1) : null;
  if (inner !== null)
    return weakenCondition(inner).map(({ description, text }) => ({ description, text: `(${text})` }));
  const alternatives = splitAt(condition, ' OR ');
  if (alternatives.length > 1) {
    return [
      { description: `without “${condition}”`, text: alwaysTrue(condition) },
      ...alternatives.map((alternative) => ({
        description: `never “${alternative}”`,
        text: condition.replace(alternative, () => `(${alternative} AND NOT (${alternative}))`),
      })),
    ];
  }
  const parts = splitAt(condition, ' AND ');
  if (parts.length === 1) return [{ description: `without “${condition}”`, text: alwaysTrue(condition) }];
  return parts.flatMap((part) =>
    weakenCondition(part).map(({ description, text }) => ({ description, text: condition.replace(part, () => text) })),
  );
}

function alwaysTrue(condition: string): string {
  return `((${condition}) OR NOT (${condition}))`;
}

/** Splits a condition at an operator, but not inside parentheses. */
function splitAt(condition: string, operator: string): string[] {
  const parts: string[] = [];
  for (const piece of condition.split(operator)) {
    const last = parts.at(-1);
    const isInParentheses = last !== undefined && last.split('(').length !== last.split(')').length;
    if (isInParentheses) parts[parts.length - 1] = `${last}${operator}${piece}`;
    else parts.push(piece);
  }
  return parts;
}
