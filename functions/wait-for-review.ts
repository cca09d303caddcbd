import { beginReview } from '../domain/exception.ts';
import { wait } from './wait.ts';

/** Puts the request before the exceptions team and waits (EXC-8). */
export const handler = wait('waitForReview', 'review', (request) => beginReview(request));
