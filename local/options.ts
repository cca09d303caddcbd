import { StartupError } from './startup-error.ts';

/** What the user can choose for a run of the local system. */
export type StartOptions = {
  readonly port: number;
  readonly folder: string | undefined;
  readonly withSeedData: boolean;
  readonly dynamoDbEndpoint: string | undefined;
};

/** Reads PORT, DATA, SEED and AWS_ENDPOINT_URL_DYNAMODB; an empty value is as none. Throws CannotStart for a wrong one. */
export function readStartOptions(environment: Readonly<Record<string, string | undefined>>): StartOptions {
  const valueOf = (name: string) => environment[name]?.trim() || undefined;
  const port = valueOf('PORT') ?? '3000';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new StartupError(`PORT must be a number from 0 to 65535, and is ${JSON.stringify(port)}.`);
  }
  const seed = valueOf('SEED');
  if (seed !== undefined && seed !== 'none') {
    throw new StartupError(`SEED can only be none, for an empty world, and is ${JSON.stringify(seed)}.`);
  }
  return {
    port: Number(port),
    folder: valueOf('DATA'),
    withSeedData: seed === undefined,
    dynamoDbEndpoint: valueOf('AWS_ENDPOINT_URL_DYNAMODB'),
  };
}
