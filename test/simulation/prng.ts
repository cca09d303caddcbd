/** A small pseudorandom number generator: the same seeds produce the same numbers. */
export type Prng = {
  /** Returns an integer from 0 up to but not including the bound. */
  below(bound: number): number;
  chance(probability: number): boolean;
  pick<Each>(choices: readonly Each[]): Each;
  /** Returns one of the choices, each with a probability in proportion to its weight. */
  weighted<Each>(choices: readonly (readonly [weight: number, choice: Each])[]): Each;
};

export function createPrng(...seeds: readonly number[]): Prng {
  let state = seeds.reduce((mixed, seed) => mix(mixed ^ Math.imul(seed + 0x9e3779b9, 0x85ebca6b)), 0x2545f491);
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    return mix(state) / 2 ** 32;
  };
  const below = (bound: number) => Math.floor(next() * bound);
  return {
    below,
    chance: (probability) => next() < probability,
    pick: (choices) => {
      const choice = choices[below(choices.length)];
      if (choice === undefined) throw new Error('The list of choices is empty.');
      return choice;
    },
    weighted: (choices) => {
      let remaining = next() * choices.reduce((sum, [weight]) => sum + weight, 0);
      for (const [weight, choice] of choices) {
        remaining -= weight;
        if (remaining < 0) return choice;
      }
      throw new Error('The list of choices is empty.');
    },
  };
}

function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return (mixed ^ (mixed >>> 14)) >>> 0;
}
