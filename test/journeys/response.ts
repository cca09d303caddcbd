/** A response as received. `body` is the parsed JSON, or undefined if it has none. */
export type HttpResponse = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
};
