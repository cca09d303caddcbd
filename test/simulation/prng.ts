/** A small source of chance that follows from its seeds alone: the same seeds, the same history. */
export type Dice = {
  /** A whole number from 0 to below the bound. */
  below(bound: number): number;
  chance(probability: number): boolean;
  of<Each>(choices: readonly Each[]): Each;
  /** One of them, each as likely as its weight. */
  weighed<Each>(choices: readonly (readonly [weight: number, choice: Each])[]): Each;
};

export function diceOf(...seeds: readonly number[]): Dice {
  let state = seeds.reduce((mixed, seed) => mix(mixed ^ Math.imul(seed + 0x9e3779b9, 0x85ebca6b)), 0x2545f491);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    return mix(state) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(next() * bound);
  return {
    below,
    chance: (probability) => next() < probability,
    of: (choices) => {
      const chosen = choices[below(choices.length)];
      if (chosen === undefined) throw new Error('There is nothing to choose from.');
      return chosen;
    },
    weighed: (choices) => {
      let left = next() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) {
        left -= weight;
        if (left < 0) return choice;
      }
      throw new Error('There is nothing to choose from.');
    },
  };
}

function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}
