/** What came back, as it came; `body` is the parsed JSON, or undefined where there is none. */
export type HttpResponse = {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly body: unknown;
};
