import type { Context } from '../../domain/context.ts';
import type { ExceptionRequest, Intake } from '../../domain/exceptions/request.ts';
import type { Decided } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import type { Sender } from '../../store/exceptions.ts';
import { receiveException } from '../../store/exceptions.ts';
import { fingerprintOf } from '../../store/vault.ts';
import type { Engine } from '../../workflows/client.ts';
import { signal } from './signal-workflow.ts';

/**
 * Takes a request in, however it came (EXC-1 to EXC-5, EXC-13): refuses a number that no form takes, decides, writes, and
 * starts its workflow. The same operation again answers with the request that it made.
 */
export async function takeRequest(
  store: Store,
  engine: Engine,
  { intake, sender }: { readonly intake: Intake; readonly sender: Sender },
  context: Context,
): Promise<Decided<{ readonly request: ExceptionRequest }>> {
  const most = context.policy.exceptions.atMost[intake.kind];
  if (intake.activationsRequested > most) {
    const message = `must be at most ${most}; more than that is a matter for the agreement itself`;
    return refuse('invalid-request', `The number of activations ${message}.`, {
      errors: [{ pointer: '/activationsRequested', message }],
    });
  }
  const exceptionId = exceptionIdOf(context.operationId);
  const outcome = await receiveException(store, { exceptionId, intake }, sender, context);
  if (!outcome.ok) return outcome;
  await signal(store, engine, exceptionId, context.now);
  return { ok: true, request: outcome.answer };
}

/**
 * The id of the request that an operation makes: always the same for the same operation, so that one sent twice makes one
 * (EXC-5), and short enough to be read out on the phone.
 */
function exceptionIdOf(operation: string): string {
  const symbols = '23456789BCDFGHJKMPQRTVWXY';
  const digest = BigInt(`0x${fingerprintOf(`exception ${operation}`).slice(0, 24)}`);
  const text = Array.from({ length: 12 }, (_, index) =>
    symbols.charAt(Number((digest / BigInt(symbols.length) ** BigInt(index)) % BigInt(symbols.length))),
  ).join('');
  return `EX-${text.slice(0, 4)}-${text.slice(4, 8)}-${text.slice(8)}`;
}
