import { injectLambdaContext } from '@aws-lambda-powertools/logger/middleware';
import type middy from '@middy/core';
import { countFunctionMetric, logger } from './observability.ts';

/** Fields of a log line: never a secret, a body, or the path of an approval link. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Returns a middleware that adds the function, its request ID, and whether it was a cold start to every log line. It never
 * logs the event, whatever the environment says: events hold product keys and task tokens.
 */
export function logContext() {
  return injectLambdaContext(logger, { logEvent: false });
}

/**
 * Returns a middleware that logs how a handler ended. middy rethrows the error of a handler, so that whatever invoked the
 * function can retry.
 */
export function logOutcome({
  completed,
  failed,
  fieldsOf = () => ({}),
}: {
  /** The message for success. Without one, only errors are logged. */
  readonly completed?: string;
  readonly failed: string;
  readonly fieldsOf?: (event: unknown) => LogFields;
}): middy.MiddlewareObj<unknown> {
  return {
    after: ({ event }) => {
      if (completed !== undefined) logger.info(completed, fieldsOf(event));
    },
    onError: ({ event, error }) => {
      logger.error(failed, { ...fieldsOf(event), error: error as Error });
    },
  };
}

/** Returns a middleware that counts each error of a handler as a fault. Handlers of many items count faults by item. */
export function countFaults(): middy.MiddlewareObj<unknown> {
  return {
    onError: () => {
      countFunctionMetric({ faults: 1 });
    },
  };
}
