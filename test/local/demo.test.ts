import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root } from '../project-files.ts';

/** Runs the demo with code that Node runs first, in the demo and in the system that it starts. */
function runDemo(preloadCode: string) {
  const preload = `--import "data:text/javascript,${encodeURIComponent(preloadCode)}"`;
  return spawnSync(process.execPath, ['local/demo.ts'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: preload, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
}

describe('a demo with a failed check', () => {
  it('exits with 1 and prints the reason when its system does not start', () => {
    const { status, stdout, stderr } = runDemo("Object.defineProperty(process, 'arch', { value: 's390x' });");
    expect(status).toBe(1);
    expect(stdout).toContain('Volume Activation: a demo');
    expect(stderr).toContain('Before chapter 1, a check failed. Expected: the system starts');
    expect(stderr).toContain('There is no DynamoDB engine for this machine');
  });

  it('exits with 1 and prints the chapter when a response is not as expected', () => {
    // Only the activation requests of the demo itself get an invalid response.
    const planted = `
      const { fetch: real } = globalThis;
      if (process.argv[1].endsWith('demo.ts')) globalThis.fetch = (url, ...rest) =>
        String(url).endsWith('/activations') ? Promise.resolve(new Response('{}', { status: 201 })) : real(url, ...rest);`;
    const { status, stdout, stderr } = runDemo(planted);
    expect(status).toBe(1);
    expect(stdout).not.toContain('all checks passed');
    expect(stderr).toContain('In chapter 2, a check failed. Expected: the response has the expected members');
  });
});
