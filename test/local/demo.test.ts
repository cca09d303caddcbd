import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { root } from '../project-files.ts';

/** Runs the demo where Node does this first, in the system that the demo starts as well. */
function tell(first: string) {
  const preload = `--import "data:text/javascript,${encodeURIComponent(first)}"`;
  return spawnSync(process.execPath, ['local/demo.ts'], {
    cwd: root,
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: preload, NO_COLOR: '1', FORCE_COLOR: undefined },
  });
}

describe('a demo of which something does not happen', () => {
  it('says what, and ends with 1, when its system does not start', () => {
    const { status, stdout, stderr } = tell("Object.defineProperty(process, 'arch', { value: 's390x' });");
    expect(status).toBe(1);
    expect(stdout).toContain('Volume Activation, told by an example');
    expect(stderr).toContain('Before the first chapter this did not happen: the system starts');
    expect(stderr).toContain('There is no DynamoDB engine for this machine');
  });

  it('says where, and ends with 1, when an answer is not as the story has it', () => {
    // The demo's own requests to activate, and nobody else's, are answered with what is no activation.
    const planted = `
      const { fetch: real } = globalThis;
      if (process.argv[1].endsWith('demo.ts')) globalThis.fetch = (url, ...rest) =>
        String(url).endsWith('/activations') ? Promise.resolve(new Response('{}', { status: 201 })) : real(url, ...rest);`;
    const { status, stdout, stderr } = tell(planted);
    expect(status).toBe(1);
    expect(stdout).not.toContain('All of it happened');
    expect(stderr).toContain('In chapter 2 this did not happen: the answer is not as expected');
  });
});
