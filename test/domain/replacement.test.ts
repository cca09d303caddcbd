import { describe, expect, it } from 'vitest';
import { withoutHosts } from '../../domain/replacement.ts';
import { aKmsKey, aMak, blocked, blocking, hosts, installationId } from '../builders.ts';

describe('a KMS key that was replaced', () => {
  const key = aKmsKey({ status: blocked(), hosts: hosts(3) });

  it('BLK-3 loses the hosts that have activated with a successor, and nothing else', () => {
    const [first, , third] = key.hosts;
    expect(withoutHosts(key, [installationId(2), installationId(9)])).toEqual({ ...key, hosts: [first, third] });
    expect(withoutHosts(key, [1, 2, 3].map(installationId))).toEqual({ ...key, hosts: [] });
  });

  it('BLK-3 stays as it is when none of them is on it any more', () => {
    expect(withoutHosts(key, [installationId(9)])).toBeUndefined();
    expect(withoutHosts(key, [])).toBeUndefined();
  });

  it('BLK-3 is another matter while it is live or held, and for a MAK', () => {
    expect(withoutHosts(aKmsKey({ hosts: hosts(3) }), [installationId(2)])).toBeUndefined();
    expect(withoutHosts(aKmsKey({ status: blocking, hosts: hosts(3) }), [installationId(2)])).toBeUndefined();
    expect(withoutHosts(aMak({ status: blocked() }), [installationId(2)])).toBeUndefined();
  });
});
