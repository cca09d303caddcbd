import type { Context } from '../../domain/context.ts';
import type { ExceptionRequest, RequestForm } from '../../domain/exceptions/request.ts';
import type { Result } from '../../domain/refusal.ts';
import { refuse } from '../../domain/refusal.ts';
import type { Sender } from '../../store/exceptions.ts';
import { createException } from '../../store/exceptions.ts';
import type { Store } from '../../store/store.ts';
import { fingerprintOf } from '../../store/vault.ts';
import type { WorkflowClient } from '../../workflows/client.ts';
import { tryDeliverSignal } from './signal-workflow.ts';

/**
 * Submits a request that arrived through the API or by email (EXC-1 to EXC-5, EXC-13): creates it and starts its workflow.
 * Refuses a number above the maximum of its kind. Returns the existing request when the same operation is repeated.
 */
export async function submitRequest(
  store: Store,
  workflowClient: WorkflowClient,
  { form, sender }: { readonly form: RequestForm; readonly sender: Sender },
  context: Context,
): Promise<Result<{ readonly request: ExceptionRequest }>> {
  const activationsMax = context.policy.exceptions.atMost[form.kind];
  if (form.activationsRequested > activationsMax) {
    const message = `must be at most ${activationsMax}; a higher number needs a change of the agreement`;
    return refuse('invalid-request', `The number of activations ${message}.`, {
      errors: [{ pointer: '/activationsRequested', message }],
    });
  }
  const exceptionId = deriveExceptionId(context.operationId);
  const result = await createException(store, { exceptionId, form }, sender, context);
  if (!result.ok) return result;
  await tryDeliverSignal(store, workflowClient, exceptionId, context.now);
  return { ok: true, request: result.value };
}

const idCharacters = '23456789BCDFGHJKMPQRTVWXY';

/**
 * Derives the id of the request from the operation that creates it, so that a repeated operation creates one request
 * (EXC-5). The id is short enough to read out on the phone.
 */
function deriveExceptionId(operationId: string): string {
  const digest = BigInt(`0x${fingerprintOf(`exception ${operationId}`).slice(0, 24)}`);
  const base = BigInt(idCharacters.length);
  const text = Array.from({ length: 12 }, (_, index) =>
    idCharacters.charAt(Number((digest / base ** BigInt(index)) % base)),
  ).join('');
  return `EX-${text.slice(0, 4)}-${text.slice(4, 8)}-${text.slice(8)}`;
}
