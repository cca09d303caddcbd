import { standingOf } from '../../domain/exceptions/request.ts';
import { drive, findException } from '../../store/exceptions.ts';
import { theMail } from '../runtime/mailer.ts';
import { theStore } from '../runtime/store.ts';
import { countRequest } from '../use-cases/record-request-metrics.ts';
import { deliverLetters } from '../use-cases/send-request-notifications.ts';
import { step } from './step-handler.ts';

/**
 * Takes the request over for this execution, sends what is owed by mail, and says where the request goes from here. An
 * execution that another has taken over from is sent to its end.
 */
export const handler = step('seeWhereItStands', async ({ exceptionId, attempt, now }) => {
  const store = theStore();
  const ended = { exceptionId, attempt, standing: 'end' } as const;
  const found = await findException(store, exceptionId);
  if (found === undefined || found.drive.attempt !== attempt) return ended;
  await drive(store, exceptionId, { seen: found.drive, next: { is: 'awake', attempt } }, now);
  await deliverLetters(store, theMail(), exceptionId, now);
  const request = await findException(store, exceptionId);
  if (request === undefined || request.drive.attempt !== attempt) return ended;
  const standing = standingOf(request);
  if (standing === 'end') await drive(store, exceptionId, { seen: request.drive, next: { is: 'ended', attempt } }, now);
  countRequest(request, now, store.policy);
  return { exceptionId, attempt, standing };
});
