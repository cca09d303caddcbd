import { type ESTree, parseSync, Visitor } from 'vite';
import { liveAndCurrentLayout } from '../../store/mak-activations.ts';

/** A bug in the store: one thing that a write no longer looks at. */
export type Mutant = {
  readonly file: string;
  readonly line: number;
  /** What is different, for people. */
  readonly what: string;
  /** The part of the source that is replaced, and by what. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
};

/**
 * Conditions that say once more what another of the same transaction says, or what always holds. They stay, since whoever
 * changes the other need not know of them; no test can tell when one is missing.
 */
export const redundantConditions: readonly {
  readonly file: string;
  readonly what: string;
  /** The how manieth mutant of that kind in the file. */
  readonly nth: number;
  readonly because: string;
}[] = [
  {
    file: 'store/dynamodb/versioned-item.ts',
    what: 'without “attribute_not_exists(PK)”',
    nth: 1,
    because: 'The first entry of its history is put with the same condition.',
  },
  {
    file: 'store/keys.ts',
    what: 'without “attribute_not_exists(PK)”',
    nth: 1,
    because: 'A key that is there has its reserve, and the key itself is put with the same condition.',
  },
  {
    file: 'store/key-replacement.ts',
    what: 'without “attribute_not_exists(PK)”',
    nth: 1,
    because: 'A key that is there has its reserve, and the successor itself is put with the same condition.',
  },
  {
    file: 'store/mak-activations.ts',
    what: 'without “attribute_exists(PK)”',
    nth: 1,
    because: 'Every MAK has its reserve, which nothing takes away.',
  },
  {
    file: 'store/mak-activations.ts',
    what: 'without “attribute_exists(PK)”',
    nth: 2,
    because: 'A bucket that was read is there, and nothing takes it away.',
  },
  {
    file: 'store/mak-activations.ts',
    what: 'without “#free = :none”',
    nth: 1,
    because: 'Places come into the reserve only with a raise, which changes its total.',
  },
  {
    file: 'store/mak-activations.ts',
    what: 'without “#bucketCount = :bucketCount”',
    nth: 3,
    because: 'A bucket that was split meanwhile has its other half, which is put where there is none.',
  },
  {
    file: 'store/mak-activations.ts',
    what: 'without “attribute_not_exists(PK)”',
    nth: 1,
    because: 'A bucket whose other half is there was split, and is laid out for more than before.',
  },
];

/** Why no test can notice a mutant, if that is known; `mutants` are all of its file. */
export function redundancyReasonOf(mutant: Mutant, mutants: readonly Mutant[]): string | undefined {
  const sameMutants = mutants.filter(({ file, what }) => file === mutant.file && what === mutant.what);
  const nth = sameMutants.indexOf(mutant) + 1;
  return redundantConditions.find((each) => each.file === mutant.file && each.what === mutant.what && each.nth === nth)
    ?.because;
}

/** Functions that answer with a condition for a transaction; each use of one can be forgotten. */
const checks = ['isUnchanged', 'keyIsLive'];

/** Every bug of this kind that a source file of the store can have: each part of each condition, dropped alone. */
export function mutantsOf(file: string, source: string): Mutant[] {
  const mutants: Mutant[] = [];
  const lineAt = (start: number) => source.slice(0, start).split('\n').length;
  const visitCondition = (node: ESTree.Node): void => {
    if (node.type === 'ConditionalExpression') {
      visitCondition(node.consequent);
      visitCondition(node.alternate);
      return;
    }
    const { start, end } = node;
    if (node.type !== 'Literal' && node.type !== 'TemplateLiteral') {
      throw new Error(`${file}:${lineAt(start)} has a condition that is not written out.`);
    }
    for (const { what, text } of weakenCondition(
      source.slice(start + 1, end - 1).replace(`\${liveAndLaidOut}`, liveAndCurrentLayout),
    )) {
      mutants.push({ file, line: lineAt(start), what, start, end, text: `\`${text}\`` });
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
        what: `without ${check}`,
        start,
        end,
        text: `(({ ConditionCheck: { ConditionExpression: it, ...rest } }) => ({ ConditionCheck: { ...rest, ConditionExpression: \`(\${it}) OR NOT (\${it})\` } }))(${check})`,
      });
    },
  }).visit(parseSync(file, source).program);
  return mutants;
}

/**
 * A condition with one of its parts dropped, in every way. The part stays in the text, since the database refuses names
 * and values that nothing uses: as something that always holds, or never where the condition holds by any of its parts.
 */
export function weakenCondition(condition: string): { readonly what: string; readonly text: string }[] {
  const inner = /^\(.*\)$/.test(condition) && splitAt(condition, ' AND ').length === 1 ? condition.slice(1, -1) : null;
  if (inner !== null) return weakenCondition(inner).map(({ what, text }) => ({ what, text: `(${text})` }));
  const alternatives = splitAt(condition, ' OR ');
  if (alternatives.length > 1) {
    return [
      { what: `without “${condition}”`, text: alwaysTrue(condition) },
      ...alternatives.map((alternative) => ({
        what: `never “${alternative}”`,
        text: condition.replace(alternative, () => `(${alternative} AND NOT (${alternative}))`),
      })),
    ];
  }
  const parts = splitAt(condition, ' AND ');
  if (parts.length === 1) return [{ what: `without “${condition}”`, text: alwaysTrue(condition) }];
  return parts.flatMap((part) =>
    weakenCondition(part).map(({ what, text }) => ({ what, text: condition.replace(part, () => text) })),
  );
}

function alwaysTrue(condition: string): string {
  return `((${condition}) OR NOT (${condition}))`;
}

/** The parts of a condition between some words, those inside brackets left whole. */
function splitAt(condition: string, words: string): string[] {
  const parts: string[] = [];
  for (const piece of condition.split(words)) {
    const last = parts.at(-1);
    const isOpen = last !== undefined && last.split('(').length !== last.split(')').length;
    if (isOpen) parts[parts.length - 1] = `${last}${words}${piece}`;
    else parts.push(piece);
  }
  return parts;
}
