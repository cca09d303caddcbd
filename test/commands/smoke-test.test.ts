import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { runSmokeTest } from '../../commands/smoke-test.ts';

type StubbedResponses = Readonly<Record<string, readonly [status: number, body: unknown]>>;

const healthyResponses: StubbedResponses = {
  '/health': [200, { status: 'ok', version: '1' }],
  '/agreements': [401, { message: 'Unauthorized' }],
  '/activations': [404, { code: 'unknown-key' }],
};

/** Returns the result and the output of the smoke test against a stage with these responses. */
async function smokeTestOf(
  responses: StubbedResponses,
): Promise<{ readonly allPassed: boolean; readonly lines: readonly string[] }> {
  const server = createServer(({ url }, response) => {
    const [status, body] = responses[url ?? ''] ?? [500, 'nothing'];
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const lines: string[] = [];
  try {
    return { allPassed: await runSmokeTest(`http://127.0.0.1:${port}/`, (line) => lines.push(line)), lines };
  } finally {
    server.close();
  }
}

describe('the smoke test', () => {
  it('passes for a healthy stage', async () => {
    const { allPassed, lines } = await smokeTestOf(healthyResponses);
    expect(allPassed).toBe(true);
    expect(lines).toEqual([
      expect.stringMatching(/^ok +GET \/health:/),
      expect.stringMatching(/^ok +GET \/agreements:/),
      expect.stringMatching(/^ok +POST \/activations:/),
    ]);
  });

  it('accepts the 401 response of the service as well as that of the gateway', async () => {
    expect(
      (await smokeTestOf({ ...healthyResponses, '/agreements': [401, { code: 'unauthenticated' }] })).allPassed,
    ).toBe(true);
  });

  it.each<[string, StubbedResponses, RegExp]>([
    [
      'is unhealthy',
      { '/health': [200, { status: 'ill' }] },
      /expected 200 with status ok, got 200 \{"status":"ill"\}/,
    ],
    ['shows agreements without a sign-in', { '/agreements': [200, { items: [] }] }, /expected 401/],
    ['activates an invented key', { '/activations': [201, {}] }, /expected 404 with code unknown-key, got 201 \{\}/],
    ['is another service', { '/activations': [404, 'not here'] }, /got 404 "not here"/],
  ])('fails for a stage that %s', async (_, responses, line) => {
    const { allPassed, lines } = await smokeTestOf({ ...healthyResponses, ...responses });
    expect(allPassed).toBe(false);
    expect(lines.join('\n')).toMatch(line);
  });

  it('fails when there is no response', async () => {
    const lines: string[] = [];
    expect(await runSmokeTest('http://127.0.0.1:9', (line) => lines.push(line))).toBe(false);
    expect(lines.join('\n')).toMatch(/got no response: /);
  });
});
