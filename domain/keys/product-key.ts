import { Secret } from '../secret.ts';

/** The characters of product keys. It has no letters and digits that look alike (KEY-5). */
export const productKeyCharacters = 'BCDFGHJKMPQRTVWXY2346789';

const groupLength = 5;
const groupCount = 5;
const characterCount = groupLength * groupCount;

/**
 * A product key. It is a secret and prints as its mask: five groups of five, of which only the last is shown (KEY-6).
 */
export type ProductKey = Secret & { readonly lastFive: string };

class ProductKeySecret extends Secret implements ProductKey {
  readonly lastFive: string;
  constructor(characters: string) {
    const groups = characters.match(/.{5}/g) ?? [];
    const lastFive = characters.slice(-groupLength);
    super(groups.join('-'), maskedKey(lastFive));
    this.lastFive = lastFive;
  }
}

/** Returns the masked form of a key. It is shown everywhere except in a recorded reveal (KEY-6). */
export function maskedKey(lastFive: string): string {
  return `${'*****-'.repeat(groupCount - 1)}${lastFive}`;
}

/**
 * Generates a product key (KEY-5).
 * @param randomBelow returns a uniform integer from 0 to below its argument, from a cryptographic source.
 */
export function generateProductKey(randomBelow: (bound: number) => number): ProductKey {
  const characters = Array.from({ length: characterCount }, () =>
    productKeyCharacters.charAt(randomBelow(productKeyCharacters.length)),
  );
  return new ProductKeySecret(characters.join(''));
}

/**
 * Parses a product key in any case, with or without hyphens and spaces. `undefined` when the text is not a product key.
 */
export function parseProductKey(text: string): ProductKey | undefined {
  const characters = text.toUpperCase().replace(/[\s-]/g, '');
  const isWellFormed =
    characters.length === characterCount &&
    [...characters].every((character) => productKeyCharacters.includes(character));
  return isWellFormed ? new ProductKeySecret(characters) : undefined;
}

const productKeyPattern = new RegExp(
  `\\b(?:[${productKeyCharacters}]{5}[- ]?){4}([${productKeyCharacters}]{5})\\b`,
  'gi',
);

/** Masks every product key in a text that a person wrote, before the text is stored or emailed (KEY-6). */
export function maskProductKeys(text: string): string {
  return text.replace(productKeyPattern, (_, lastFive: string) => maskedKey(lastFive.toUpperCase()));
}
