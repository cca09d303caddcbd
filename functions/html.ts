/** A piece of markup. Only `html` and `verbatim` make one, so a text that merely looks like markup never passes for it. */
export class Html {
  readonly #markup: string;

  constructor(markup: string) {
    this.#markup = markup;
  }

  toString(): string {
    return this.#markup;
  }
}

/** What may stand in a template: texts and numbers, which are escaped, and markup, which is already safe. */
type Piece = string | number | Html | readonly Html[];

/**
 * A template of HTML that escapes everything put into it, unless that is markup itself. What it escapes is harmless as
 * text and inside an attribute in quotation marks; never put anything into a tag, an unquoted attribute, or a style.
 */
export function html(markup: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return new Html(String.raw({ raw: markup }, ...pieces.map(asMarkup)));
}

/** Markup that is taken as it stands. For texts of our own only: what came from outside must never reach it. */
export function verbatim(markup: string): Html {
  return new Html(markup);
}

export const nothing = verbatim('');

function asMarkup(piece: Piece): string {
  if (piece instanceof Html) return piece.toString();
  if (typeof piece === 'object') return piece.map(asMarkup).join('');
  return String(piece).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
