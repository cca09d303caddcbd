import { beginReview } from '../../domain/exceptions/request.ts';
import { wait } from './waiting-step.ts';

/** Puts the request before the exceptions team and waits (EXC-8). */
export const handler = wait('waitForReview', 'review', (request) => beginReview(request));
