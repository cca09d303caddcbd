/** An expected reason why the local system cannot start. Its message tells the user what to do; no stack is needed. */
export class StartupError extends Error {
  override readonly name = 'StartupError';
}
