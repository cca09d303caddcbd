import { requestReview } from '../../domain/exceptions/request.ts';
import { createWaitingStep } from './waiting-step.ts';

/** Puts the request before the exceptions team and waits (EXC-8). */
export const handler = createWaitingStep('requestReview', 'request-review', (request) => requestReview(request));
