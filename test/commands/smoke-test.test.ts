import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { runSmokeTest } from '../../commands/smoke-test.ts';

type StubbedResponses = Readonly<Record<string, readonly [status: number, body: unknown]>>;

const good: StubbedResponses = {
  '/health': [200, { status: 'ok', version: '1' }],
  '/agreements': [401, { message: 'Unauthorized' }],
  '/activations': [404, { code: 'unknown-key' }],
};

/** What is told of a stage that answers so. */
async function toldOf(answers: StubbedResponses): Promise<{ readonly allRight: boolean; readonly lines: readonly string[] }> {
  const server = createServer(({ url }, response) => {
    const [status, body] = answers[url ?? ''] ?? [500, 'nothing'];
    response.writeHead(status).end(typeof body === 'string' ? body : JSON.stringify(body));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const lines: string[] = [];
  try {
    return { allRight: await runSmokeTest(`http://127.0.0.1:${port}/`, (line) => lines.push(line)), lines };
  } finally {
    server.close();
  }
}

describe('the smoke test', () => {
  it('is content with a stage that answers as it should', async () => {
    const { allRight, lines } = await toldOf(good);
    expect(allRight).toBe(true);
    expect(lines).toEqual([
      expect.stringMatching(/^ok +GET \/health:/),
      expect.stringMatching(/^ok +GET \/agreements:/),
      expect.stringMatching(/^ok +POST \/activations:/),
    ]);
  });

  it('takes the service’s own words for not being signed in as well', async () => {
    expect((await toldOf({ ...good, '/agreements': [401, { code: 'unauthenticated' }] })).allRight).toBe(true);
  });

  it.each<[string, StubbedResponses, RegExp]>([
    ['is not well', { '/health': [200, { status: 'ill' }] }, /expected 200 with status ok, got 200 \{"status":"ill"\}/],
    ['shows agreements to anybody', { '/agreements': [200, { items: [] }] }, /expected 401/],
    ['takes any key', { '/activations': [201, {}] }, /expected 404 with code unknown-key, got 201 \{\}/],
    ['is somebody else', { '/activations': [404, 'not here'] }, /got 404 "not here"/],
  ])('notices a stage that %s', async (_, answers, line) => {
    const { allRight, lines } = await toldOf({ ...good, ...answers });
    expect(allRight).toBe(false);
    expect(lines.join('\n')).toMatch(line);
  });

  it('says so when nobody answers', async () => {
    const lines: string[] = [];
    expect(await runSmokeTest('http://127.0.0.1:9', (line) => lines.push(line))).toBe(false);
    expect(lines.join('\n')).toMatch(/got no answer: /);
  });
});
