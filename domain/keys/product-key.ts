import { Secret } from '../secret.ts';

/** The symbols of a product key: letters and digits that are not mistaken for each other (KEY-5). */
export const productKeyCharacters = 'BCDFGHJKMPQRTVWXY2346789';

const groupLength = 5;
const groupCount = 5;
const symbolCount = groupLength * groupCount;

/** A product key: a secret that prints as its mask, five groups of five of which only the last is shown (KEY-6). */
export type ProductKey = Secret & { readonly lastFive: string };

class ProductKeySecret extends Secret implements ProductKey {
  readonly lastFive: string;
  constructor(symbols: string) {
    const groups = symbols.match(/.{5}/g) ?? [];
    const lastFive = symbols.slice(-groupLength);
    super(groups.join('-'), maskedKey(lastFive));
    this.lastFive = lastFive;
  }
}

/** How a key is shown everywhere but in an explicit, recorded reveal (KEY-6). */
export function maskedKey(lastFive: string): string {
  return `${'*****-'.repeat(groupCount - 1)}${lastFive}`;
}

/**
 * Draws a new product key (KEY-5).
 * @param randomBelow gives a uniform whole number from 0 to below its argument, from a cryptographic source.
 */
export function generateProductKey(randomBelow: (bound: number) => number): ProductKey {
  const symbols = Array.from({ length: symbolCount }, () =>
    productKeyCharacters.charAt(randomBelow(productKeyCharacters.length)),
  );
  return new ProductKeySecret(symbols.join(''));
}

/** Reads a product key as people type it: any case, with or without hyphens and spaces. `undefined` when it is none. */
export function parseProductKey(text: string): ProductKey | undefined {
  const symbols = text.toUpperCase().replace(/[\s-]/g, '');
  const isWellFormed =
    symbols.length === symbolCount && [...symbols].every((symbol) => productKeyCharacters.includes(symbol));
  return isWellFormed ? new ProductKeySecret(symbols) : undefined;
}

const productKeyPattern = new RegExp(
  `\\b(?:[${productKeyCharacters}]{5}[- ]?){4}([${productKeyCharacters}]{5})\\b`,
  'gi',
);

/** A text that people wrote, with no more than the last five of every product key in it: it is kept, and mailed (KEY-6). */
export function maskProductKeys(text: string): string {
  return text.replace(productKeyPattern, (_, lastFive: string) => maskedKey(lastFive.toUpperCase()));
}
