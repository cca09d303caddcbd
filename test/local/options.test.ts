import { describe, expect, it } from 'vitest';
import { readStartOptions } from '../../local/options.ts';

describe('the start options', () => {
  it('default to port 3000, sample data, and data in memory', () => {
    const defaults = { port: 3000, folder: undefined, withSeedData: true, dynamoDbEndpoint: undefined };
    expect(readStartOptions({})).toEqual(defaults);
    expect(readStartOptions({ PORT: '', DATA: ' ', SEED: '', AWS_ENDPOINT_URL_DYNAMODB: '' })).toEqual(defaults);
  });

  it('follow the environment', () => {
    const environment = {
      PORT: '8080',
      DATA: './data',
      SEED: 'none',
      AWS_ENDPOINT_URL_DYNAMODB: 'http://127.0.0.1:8000',
    };
    expect(readStartOptions(environment)).toEqual({
      port: 8080,
      folder: './data',
      withSeedData: false,
      dynamoDbEndpoint: 'http://127.0.0.1:8000',
    });
  });

  it.each(['0', '65535'])('accept port %s', (PORT) => {
    expect(readStartOptions({ PORT }).port).toBe(Number(PORT));
  });

  it.each(['65536', '-1', '80.5', 'http', '0x50', '100000'])('refuse port %s', (PORT) => {
    expect(() => readStartOptions({ PORT })).toThrow(`PORT must be a number from 0 to 65535, but is "${PORT}".`);
  });

  it('refuse another seed', () => {
    expect(() => readStartOptions({ SEED: 'all' })).toThrow(
      'SEED must be none (no sample data) or unset, but is "all".',
    );
  });
});
