/** A secret that must not appear in plain text, and how to search for it. */
export type SearchTarget = {
  /** The label that a finding shows; never the secret itself. */
  readonly name: string;
  /**
   * The search finds a product key in any notation, and also a part of it; a code only on its own and not within a
   * longer number; a token as it is.
   */
  readonly kind: 'product-key' | 'code' | 'token';
  readonly value: string;
};

/** A text to search for secrets. */
export type SearchSource = { readonly name: string; readonly text: string };

export type Finding = { readonly target: SearchTarget; readonly source: SearchSource };

/** Finds secrets in texts: as they are, in another letter case or grouping, and encoded in base64, hex or a URL. */
export function findSecrets(targets: readonly SearchTarget[], sources: readonly SearchSource[]): readonly Finding[] {
  const matchers = targets.map((target) => ({ target, isIn: matcherFor(target) }));
  return sources.flatMap((source) => {
    const normalized = normalizeText(source.text);
    return matchers.flatMap(({ target, isIn }) => (isIn(normalized) ? [{ target, source }] : []));
  });
}

type NormalizedText = {
  readonly asIs: string;
  /** Without white space and line breaks, so that a search finds a long secret across a line break. */
  readonly unbroken: string;
  /** Only letters and digits, in capitals. */
  readonly alphanumeric: string;
};

function normalizeText(text: string): NormalizedText {
  const decoded = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return {
    asIs: decoded,
    unbroken: decoded.replaceAll(/=?\s+|\\[rn]/g, ''),
    alphanumeric: decoded.replaceAll(/\\[rnt]|[^0-9A-Za-z]/g, '').toUpperCase(),
  };
}

function matcherFor({ kind, value }: SearchTarget): (text: NormalizedText) => boolean {
  switch (kind) {
    case 'product-key': {
      const characters = value.replaceAll('-', '').toUpperCase();
      const parts = partsOf(characters);
      const spellings = [value.toUpperCase(), characters];
      const encoded = [...spellings, ...spellings.map((each) => each.toLowerCase())].flatMap(encodingsOf);
      return ({ alphanumeric, unbroken }) =>
        parts.some((part) => alphanumeric.includes(part)) || encoded.some((each) => unbroken.includes(each));
    }
    case 'code': {
      const alone = new RegExp(`(?<![\\w.#-])${value}(?![\\w-]|\\.\\d)`);
      return ({ asIs }) => alone.test(asIs);
    }
    case 'token': {
      const written = [value, ...encodingsOf(value)];
      return ({ unbroken }) => written.some((each) => unbroken.includes(each));
    }
  }
}

const partLength = 10;

/**
 * Returns every run of ten characters of a key before its last five, which may be shown. Ten are too many for a match by
 * chance.
 */
function partsOf(characters: string): string[] {
  return Array.from({ length: 20 - partLength + 1 }, (_, start) => characters.slice(start, start + partLength));
}

/** Returns the encodings of a text within a longer encoded text, for every offset of the text in the longer one. */
function encodingsOf(text: string): string[] {
  const shifted = [0, 1, 2].map((before) => {
    const encoded = Buffer.from(`${'\0'.repeat(before)}${text}`).toString('base64');
    // The first and last few characters depend on the adjacent text.
    return encoded.replace(/=+$/, '').slice(before === 0 ? 0 : 4, -2);
  });
  const hex = Buffer.from(text).toString('hex');
  return [...shifted, ...shifted.map((each) => each.replaceAll('+', '-').replaceAll('/', '_')), hex, hex.toUpperCase()];
}
