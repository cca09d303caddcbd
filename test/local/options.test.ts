import { describe, expect, it } from 'vitest';
import { readStartOptions } from '../../local/options.ts';

describe('what the user chose', () => {
  it('is port 3000, a seeded world and data in memory, where nothing is said', () => {
    const usual = { port: 3000, folder: undefined, withSeedData: true, dynamoDbEndpoint: undefined };
    expect(readStartOptions({})).toEqual(usual);
    expect(readStartOptions({ PORT: '', DATA: ' ', SEED: '', AWS_ENDPOINT_URL_DYNAMODB: '' })).toEqual(usual);
  });

  it('is taken as it is said', () => {
    const said = { PORT: '8080', DATA: './data', SEED: 'none', AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:8000' };
    expect(readStartOptions(said)).toEqual({
      port: 8080,
      folder: './data',
      withSeedData: false,
      dynamoDbEndpoint: 'http://127.0.0.1:8000',
    });
  });

  it.each(['0', '65535'])('may be port %s', (PORT) => {
    expect(readStartOptions({ PORT }).port).toBe(Number(PORT));
  });

  it.each(['65536', '-1', '80.5', 'http', '0x50', '100000'])('may not be port %s', (PORT) => {
    expect(() => readStartOptions({ PORT })).toThrow(`PORT must be a number from 0 to 65535, and is "${PORT}".`);
  });

  it('may not be any other seed', () => {
    expect(() => readStartOptions({ SEED: 'all' })).toThrow('SEED can only be none, for an empty world, and is "all".');
  });
});
