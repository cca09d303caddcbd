import { CannotStart } from './emulators/dynamodb.ts';

/** What the user can choose for a run of the local system. */
export type Choices = {
  readonly port: number;
  readonly folder: string | undefined;
  readonly seeded: boolean;
  readonly dynamoDbEndpoint: string | undefined;
};

/** Reads PORT, DATA, SEED and AWS_ENDPOINT_URL_DYNAMODB; an empty value is as none. Throws CannotStart for a wrong one. */
export function choicesIn(environment: Readonly<Record<string, string | undefined>>): Choices {
  const chosen = (name: string) => environment[name]?.trim() || undefined;
  const port = chosen('PORT') ?? '3000';
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535) {
    throw new CannotStart(`PORT must be a number from 0 to 65535, and is ${JSON.stringify(port)}.`);
  }
  const seed = chosen('SEED');
  if (seed !== undefined && seed !== 'none') {
    throw new CannotStart(`SEED can only be none, for an empty world, and is ${JSON.stringify(seed)}.`);
  }
  return {
    port: Number(port),
    folder: chosen('DATA'),
    seeded: seed === undefined,
    dynamoDbEndpoint: chosen('AWS_ENDPOINT_URL_DYNAMODB'),
  };
}
