/**
 * A value that must never be read by accident: a product key, a code, a token. However it is printed, logged,
 * concatenated or turned into JSON, what comes out is its mask. Only `reveal()` gives the value (KEY-6, APR-1).
 */
export class Secret {
  readonly #value: string;
  readonly mask: string;

  constructor(value: string, mask = '[secret]') {
    this.#value = value;
    this.mask = mask;
  }

  /** The value itself. Each caller of this is a place to look at in a review. */
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
