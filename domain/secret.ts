/**
 * A value that must not leak by accident: a product key, a code, a token. Printing, logging, concatenating, and
 * converting it to JSON all give its mask. Only `reveal()` returns the value (KEY-6, APR-1).
 */
export class Secret {
  readonly #value: string;
  readonly mask: string;

  constructor(value: string, mask = '[secret]') {
    this.#value = value;
    this.mask = mask;
  }

  /** Returns the value itself. Check every caller of this method in a code review. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return this.mask;
  }

  toJSON(): string {
    return this.mask;
  }

  [Symbol.toPrimitive](): string {
    return this.mask;
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.mask;
  }
}
