/** Something that must not be found in the clear, and how it is looked for. */
export type Sought = {
  /** What it is called when it is found: never the secret itself. */
  readonly name: string;
  /**
   * A product key is found however it is written, and when only a part of it is there; a code, where it stands by itself
   * and not within a longer number; a token, as it is.
   */
  readonly is: 'product-key' | 'code' | 'token';
  readonly value: string;
};

/** A text in which secrets are looked for. */
export type Place = { readonly name: string; readonly text: string };

export type Finding = { readonly sought: Sought; readonly place: Place };

/** Finds secrets in texts: as they are, in other letters and other groups, and encoded in base64, hex or a URL. */
export function search(all: readonly Sought[], places: readonly Place[]): readonly Finding[] {
  const tests = all.map((sought) => ({ sought, isIn: testOf(sought) }));
  return places.flatMap((place) => {
    const readings = readingsOf(place.text);
    return tests.flatMap(({ sought, isIn }) => (isIn(readings) ? [{ sought, place }] : []));
  });
}

type Readings = {
  readonly asIs: string;
  /** Without what a printer or a JSON text puts between: so a long secret is found also where a line was broken. */
  readonly unbroken: string;
  /** Letters and digits alone, in capitals. */
  readonly bare: string;
};

function readingsOf(text: string): Readings {
  const decoded = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return {
    asIs: decoded,
    unbroken: decoded.replaceAll(/=?\s+|\\[rn]/g, ''),
    bare: decoded.replaceAll(/\\[rnt]|[^0-9A-Za-z]/g, '').toUpperCase(),
  };
}

function testOf({ is, value }: Sought): (readings: Readings) => boolean {
  switch (is) {
    case 'product-key': {
      const symbols = value.replaceAll('-', '').toUpperCase();
      const parts = partsOf(symbols);
      const spellings = [value.toUpperCase(), symbols];
      const encoded = [...spellings, ...spellings.map((each) => each.toLowerCase())].flatMap(encodingsOf);
      return ({ bare, unbroken }) =>
        parts.some((part) => bare.includes(part)) || encoded.some((each) => unbroken.includes(each));
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

/** Every run of ten symbols of a key before its last five, which may be shown: as many as nobody comes upon by chance. */
function partsOf(symbols: string): string[] {
  return Array.from({ length: 20 - partLength + 1 }, (_, start) => symbols.slice(start, start + partLength));
}

/** What is to be seen of a text within a longer one that was encoded, wherever in it the text begins. */
function encodingsOf(text: string): string[] {
  const shifted = [0, 1, 2].map((before) => {
    const encoded = Buffer.from(`${'\0'.repeat(before)}${text}`).toString('base64');
    // The first and the last few characters depend on what stands beside it.
    return encoded.replace(/=+$/, '').slice(before === 0 ? 0 : 4, -2);
  });
  const hex = Buffer.from(text).toString('hex');
  return [...shifted, ...shifted.map((each) => each.replaceAll('+', '-').replaceAll('/', '_')), hex, hex.toUpperCase()];
}
