/** Markup that is finished: only `html` makes it, so that a plain string can never pass for it. */
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
 * Puts values into markup and escapes them, whether they stand between tags or inside a quoted attribute. What is
 * markup already goes in as it is, a list of it piece by piece. Attributes must be written with quotes around them.
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
