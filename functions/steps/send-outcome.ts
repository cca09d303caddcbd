import { isFinal } from '../../domain/exceptions/request.ts';
import { drive, findException } from '../../store/exceptions.ts';
import { theMail } from '../runtime/mailer.ts';
import { theStore } from '../runtime/store.ts';
import { countRequest } from '../use-cases/record-request-metrics.ts';
import { deliverLetters } from '../use-cases/send-request-notifications.ts';
import { step } from './step-handler.ts';

/** Tells everybody whom it concerns how the request ended (EXC-11); with that the workflow has done its work. */
export const handler = step('tellPeople', async ({ exceptionId, attempt, now }) => {
  const store = theStore();
  await deliverLetters(store, theMail(), exceptionId, now);
  const request = await findException(store, exceptionId);
  if (request !== undefined && isFinal(request) && request.drive.attempt === attempt) {
    await drive(store, exceptionId, { seen: request.drive, next: { is: 'ended', attempt } }, now);
    countRequest(request, now, store.policy);
  }
  return { exceptionId, attempt };
});
