import { askCorrespondent } from '../../domain/exceptions/request.ts';
import { wait } from './waiting-step.ts';

/** Asks the Notices Correspondent and waits for the decision (EXC-6). */
export const handler = wait('askCorrespondent', 'ask-correspondent', askCorrespondent);
