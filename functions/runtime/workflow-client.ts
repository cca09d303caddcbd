import type { Engine } from '../../workflows/client.ts';
import { openEngine } from '../../workflows/client.ts';
import { engineEnvironment } from '../environment.ts';

let made: Engine | undefined;

/** The door to the workflow engine, made at its first use and kept while the function is warm. */
export function theEngine(): Engine {
  made ??= openEngine(engineEnvironment().STATE_MACHINE_ARN);
  return made;
}
