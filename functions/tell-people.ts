import { isFinal } from '../domain/exception.ts';
import { drive, findException } from '../store/exceptions.ts';
import { countRequest } from './count-request.ts';
import { deliverLetters } from './deliver-letters.ts';
import { step } from './step.ts';
import { theMail } from './the-mail.ts';
import { theStore } from './the-store.ts';

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
