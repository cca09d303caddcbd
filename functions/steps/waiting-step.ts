import type { Context } from '../../domain/context.ts';
import type { Changed, ExceptionRequest, Standing } from '../../domain/exceptions/request.ts';
import type { Decided } from '../../domain/refusal.ts';
import { moveException, park } from '../../store/exceptions.ts';
import type { StepName } from '../manifest.ts';
import { theMail } from '../runtime/mailer.ts';
import { theStore } from '../runtime/store.ts';
import { theEngine } from '../runtime/workflow-client.ts';
import { deliverLetters } from '../use-cases/send-request-notifications.ts';
import { step } from './step-handler.ts';

/**
 * Makes a step at which the workflow waits: moves a request that has only been received, lets the execution wait with its
 * token, and sends what that makes owed. Where the request has moved on meanwhile, the step wakes itself: nobody else
 * knows the token yet.
 */
export function wait(
  name: StepName,
  standing: Standing,
  begin: (request: ExceptionRequest, context: Pick<Context, 'now' | 'policy'>) => Decided<Changed> | 'nothing',
) {
  return step(name, async ({ exceptionId, attempt, taskToken, now }) => {
    if (taskToken === undefined) throw new Error(`The step ${name} waits, but was given no task token.`);
    const store = theStore();
    const context = { operationId: null, now, policy: store.policy };
    await moveException(
      store,
      exceptionId,
      (request) =>
        request.stage.is === 'received' && request.drive.attempt === attempt ? begin(request, context) : 'nothing',
      context,
    );
    const parked = await park(store, exceptionId, { attempt, standing, taskToken }, now);
    await deliverLetters(store, theMail(), exceptionId, now);
    if (parked !== 'parked') await theEngine().wake(taskToken);
    return { parked };
  });
}
