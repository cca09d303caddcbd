import type { Context } from 'aws-lambda';
import { SendThrottledError } from '../../emails/send.ts';
import { entryNamesOf, fileOf } from '../../functions/manifest.ts';
import { lambdaContext } from '../../local/emulators/api-gateway.ts';
import { ContentionError } from '../../store/dynamodb/table.ts';
import type { Invocation, Network } from './network.ts';
import { currentInvocation, InvariantViolation } from './network.ts';

export type Handler = (event: unknown, context: Context) => Promise<unknown>;

/** The result of one invocation. `hadFaults` is true if a fault affected it that the function could notice. */
export type InvocationResult = { readonly hadFaults: boolean } & (
  | { readonly kind: 'done'; readonly output: unknown }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'killed' }
);

export type FunctionInvoker = {
  /** Invokes a function once. It can be killed, and its clock can differ from the others. */
  invoke(name: string, call: () => Promise<unknown>): Promise<InvocationResult>;
  /** Invokes a function once. Throws if it fails and no fault explains it. */
  invokeChecked(name: string, handler: Handler, event: unknown): Promise<InvocationResult>;
  /** Wraps the handler of a workflow step for the Step Functions emulator. */
  toStepHandler(name: string, handler: Handler): (input: unknown) => Promise<unknown>;
  /** Throws if a workflow step has failed and no fault explains it. */
  checkSteps(): void;
};

/** The probabilities that a function is killed, and that its clock differs from the others. */
const killRate = 0.03;
const clockSkewRate = 0.12;

export function createFunctionInvoker(network: Network): FunctionInvoker {
  const unexplained: string[] = [];
  const invoker: FunctionInvoker = {
    async invoke(name, call) {
      const { prng, profile } = network.conditions;
      const isFaultFree = profile.kind === 'none';
      const skewSeconds = !isFaultFree && prng.chance(clockSkewRate) ? prng.below(7) - 3 : 0;
      if (skewSeconds !== 0) network.countFault('clock-skew');
      const killSignal = Promise.withResolvers<{ readonly kind: 'killed' }>();
      const invocation: Invocation = {
        name,
        skewMilliseconds: skewSeconds * 1_000,
        killedAtCall: !isFaultFree && prng.chance(killRate) ? 1 + prng.below(name === 'sweep' ? 25 : 6) : null,
        calls: 0,
        faults: 0,
        isKilled: false,
        kill: () => killSignal.resolve({ kind: 'killed' }),
      };
      const ending = currentInvocation.run(invocation, () =>
        call().then(
          (output) => ({ kind: 'done', output }) as const,
          (error: unknown) => ({ kind: 'failed', error }) as const,
        ),
      );
      const result = await Promise.race([ending, killSignal.promise]);
      if (result.kind === 'failed') network.trace.push(`    ${name}: failed: ${String(result.error)}`);
      return { ...result, hadFaults: invocation.faults > 0 };
    },

    async invokeChecked(name, handler, event) {
      const result = await invoker.invoke(name, () => handler(event, lambdaContext(name)));
      if (result.kind === 'failed' && !isExplained(result)) {
        throw new InvariantViolation(unexplainedFailure, `${name}: ${describeError(result.error)}`);
      }
      return result;
    },

    toStepHandler: (name, handler) => async (input) => {
      const result = await invoker.invoke(name, () => handler(input, lambdaContext(name)));
      if (result.kind === 'killed')
        throw Object.assign(new Error('The function was killed.'), { name: 'Sandbox.Timedout' });
      if (result.kind === 'done') return result.output;
      // Step Functions catches the error, so that it must be reported in another way.
      if (!isExplained(result)) unexplained.push(`${name}: ${describeError(result.error)}`);
      throw result.error;
    },

    checkSteps() {
      const [first] = unexplained;
      if (first !== undefined) throw new InvariantViolation(unexplainedFailure, first);
    },
  };
  return invoker;
}

export const unexplainedFailure = 'Nothing fails without a fault';

function isExplained({ hadFaults, error }: Extract<InvocationResult, { kind: 'failed' }>): boolean {
  return hadFaults || error instanceof ContentionError || error instanceof SendThrottledError;
}

function describeError(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message).split('\n').slice(0, 4).join(' | ') : String(error);
}

/** Loads the handlers of all functions of a kind, by their name in the manifest. */
export async function loadHandlers(kind: Parameters<typeof entryNamesOf>[0]): Promise<Record<string, Handler>> {
  const entries = entryNamesOf(kind).map(
    async (name) => [name, (await import(`../../${fileOf(name)}`)).handler as Handler] as const,
  );
  return Object.fromEntries(await Promise.all(entries));
}
