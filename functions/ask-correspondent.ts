import { askCorrespondent } from '../domain/exception.ts';
import { wait } from './wait.ts';

/** Asks the Notices Correspondent and waits for the decision (EXC-6). */
export const handler = wait('askCorrespondent', 'ask-correspondent', askCorrespondent);
