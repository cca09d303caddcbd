/** Finished markup. Only `html` creates it, so that a plain string can never be taken for markup. */
class Markup {
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  toString(): string {
    return this.#source;
  }
}

export type { Markup };

/**
 * Inserts values into markup and escapes them, between tags and inside quoted attributes. Values that are markup
 * already are inserted unchanged, and a list of them one after the other. Attributes must have quotes.
 */
export function html(
  strings: TemplateStringsArray,
  ...values: readonly (string | number | Markup | readonly Markup[])[]
): Markup {
  return new Markup(strings.reduce((before, after, index) => before + renderValue(values[index - 1] ?? '') + after));
}

function renderValue(value: string | number | Markup | readonly Markup[]): string {
  if (value instanceof Markup) return value.toString();
  if (typeof value === 'object') return value.join('');
  return String(value).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
