import type { Context } from '../../domain/context.ts';
import type { ExceptionRequest, RequestForm } from '../../domain/exceptions/request.ts';
import type { Result } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Sender } from '../../store/exceptions.ts';
import { createException } from '../../store/exceptions.ts';
import type { Store } from '../../store/dynamodb/table.ts';
import { fingerprintOf } from '../../store/vault.ts';
import type { WorkflowClient } from '../../workflows/client.ts';
import { tryDeliverSignal } from './signal-workflow.ts';

/**
 * Takes a request in, however it came (EXC-1 to EXC-5, EXC-13): refuses a number that no form takes, decides, writes, and
 * starts its workflow. The same operation again answers with the request that it made.
 */
export async function submitRequest(
  store: Store,
  workflowClient: WorkflowClient,
  { form, sender }: { readonly form: RequestForm; readonly sender: Sender },
  context: Context,
): Promise<Result<{ readonly request: ExceptionRequest }>> {
  const activationsMax = context.policy.exceptions.atMost[form.kind];
  if (form.activationsRequested > activationsMax) {
    const message = `must be at most ${activationsMax}; more than that is a matter for the agreement itself`;
    return refuse('invalid-request', `The number of activations ${message}.`, {
      errors: [{ pointer: '/activationsRequested', message }],
    });
  }
  const exceptionId = deriveExceptionId(context.operationId);
  const outcome = await createException(store, { exceptionId, form }, sender, context);
  if (!outcome.ok) return outcome;
  await tryDeliverSignal(store, workflowClient, exceptionId, context.now);
  return { ok: true, request: outcome.value };
}

/**
 * The id of the request that an operation makes: always the same for the same operation, so that one sent twice makes one
 * (EXC-5), and short enough to be read out on the phone.
 */
function deriveExceptionId(operationId: string): string {
  const symbols = '23456789BCDFGHJKMPQRTVWXY';
  const digest = BigInt(`0x${fingerprintOf(`exception ${operationId}`).slice(0, 24)}`);
  const text = Array.from({ length: 12 }, (_, index) =>
    symbols.charAt(Number((digest / BigInt(symbols.length) ** BigInt(index)) % BigInt(symbols.length))),
  ).join('');
  return `EX-${text.slice(0, 4)}-${text.slice(4, 8)}-${text.slice(8)}`;
}
