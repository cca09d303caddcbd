import { StartupError } from './startup-error.ts';

/** The options of a run of the local system. */
export type StartOptions = {
  readonly port: number;
  readonly folder: string | undefined;
  readonly withSeedData: boolean;
  readonly dynamoDbEndpoint: string | undefined;
};

/** Reads PORT, DATA, SEED and AWS_ENDPOINT_URL_DYNAMODB. Ignores empty values. Throws StartupError for an invalid one. */
export function readStartOptions(environment: Readonly<Record<string, string | undefined>>): StartOptions {
  const readVariable = (name: string) => environment[name]?.trim() || undefined;
  const port = readVariable('PORT') ?? '3000';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new StartupError(`PORT must be a number from 0 to 65535, but is ${JSON.stringify(port)}.`);
  }
  const seed = readVariable('SEED');
  if (seed !== undefined && seed !== 'none') {
    throw new StartupError(`SEED must be none (no sample data) or unset, but is ${JSON.stringify(seed)}.`);
  }
  return {
    port: Number(port),
    folder: readVariable('DATA'),
    withSeedData: seed === undefined,
    dynamoDbEndpoint: readVariable('AWS_ENDPOINT_URL_DYNAMODB'),
  };
}
