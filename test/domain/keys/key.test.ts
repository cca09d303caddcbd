import { describe, expect, it } from 'vitest';
import {
  draftRequest,
  exceptionKindOf,
  maskOf,
  refuseUnlessCovered,
  refuseUnlessLive,
} from '../../../domain/keys/key.ts';
import { aKmsKey, aMak, anAgreement, blockedState, blockingState, policy } from '../../builders.ts';

describe('what needs a live key', () => {
  it('BLK-1 is not refused while the key is live', () => {
    expect(refuseUnlessLive(aMak())).toBeUndefined();
  });

  it('BLK-1 is refused once it is blocked and replaced, naming the last five of the new one', () => {
    expect(refuseUnlessLive(aMak({ state: blockedState() }))).toEqual({
      ok: false,
      refusal: {
        code: 'key-blocked',
        detail: 'The key ending in BCDFG is blocked. Use the key ending in QRTVW, which replaced it.',
        replacedBy: 'QRTVW',
      },
    });
  });

  it('BLK-1 is refused once it is blocked and not replaced, pointing to whoever knows the key in use', () => {
    expect(refuseUnlessLive(aKmsKey({ state: blockedState(null) }))).toEqual({
      ok: false,
      refusal: {
        code: 'key-blocked',
        detail: 'The key ending in HJKMP is blocked. Ask your license administrator for the current key.',
        replacedBy: null,
      },
    });
  });

  it('BLK-2 is refused already while the key is being replaced', () => {
    expect(refuseUnlessLive(aMak({ state: blockingState }))).toEqual({
      ok: false,
      refusal: {
        code: 'key-blocked',
        detail: 'The key ending in BCDFG is being replaced. Use the new key, which is available shortly.',
        replacedBy: null,
      },
    });
  });
});

describe('a product that is to be activated', () => {
  it('MAK-3 is not refused when it is in the group of the MAK', () => {
    expect(refuseUnlessCovered(aMak(), 'windows-vista-enterprise', policy)).toBeUndefined();
  });

  it('MAK-3 is refused when it is not, naming by name and by code what the MAK covers', () => {
    expect(refuseUnlessCovered(aMak(), 'windows-web-server-2008', policy)).toEqual({
      ok: false,
      refusal: {
        code: 'product-not-covered',
        detail:
          'The key ending in BCDFG does not cover Windows Web Server 2008. It covers Windows Vista Business, Windows Vista Enterprise. Use another key for this product.',
        covers: ['windows-vista-business', 'windows-vista-enterprise'],
      },
    });
  });

  it('MAK-3 is refused even when it is in a lower group, which a MAK does not activate', () => {
    const mak = aMak({ productGroup: 'server-b' });
    expect(refuseUnlessCovered(mak, 'windows-vista-business', policy)?.refusal).toMatchObject({
      covers: ['windows-server-2008-standard', 'windows-server-2008-enterprise'],
    });
  });

  it('KEY-3 is not refused when it is in a lower group than that of a KMS key, and is in a higher', () => {
    expect(refuseUnlessCovered(aKmsKey(), 'windows-vista-business', policy)).toBeUndefined();
    expect(refuseUnlessCovered(aKmsKey(), 'windows-server-2008-datacenter', policy)?.refusal).toMatchObject({
      code: 'product-not-covered',
      covers: [
        'windows-vista-business',
        'windows-vista-enterprise',
        'windows-web-server-2008',
        'windows-server-2008-standard',
        'windows-server-2008-enterprise',
      ],
    });
  });
});

describe('an exception request that is begun for somebody', () => {
  it('MAK-5 says all that is known: of which kind, for whom, which key and how many', () => {
    expect(
      draftRequest(
        aMak(),
        { agreement: anAgreement(), activationsRequested: 150, product: 'windows-vista-enterprise' },
        policy,
      ),
    ).toEqual({
      kind: 'MAKADD',
      organizationName: 'Alder School District',
      agreementNumber: 'E-1001',
      product: 'windows-vista-enterprise',
      keyLastFive: 'BCDFG',
      activationsRequested: 150,
    });
  });

  it('OVR-3 knows an Open agreement by both of its numbers, and names a product of the key when nobody named one', () => {
    const numbers = { authorizationNumber: '65432100', licenseNumber: '45678901' };
    expect(
      draftRequest(
        aKmsKey(),
        { agreement: anAgreement({ program: 'open', numbers }), activationsRequested: 6 },
        policy,
      ),
    ).toEqual({
      kind: 'KMSADD',
      organizationName: 'Alder School District',
      authorizationNumber: '65432100',
      licenseNumber: '45678901',
      product: 'windows-server-2008-standard',
      keyLastFive: 'HJKMP',
      activationsRequested: 6,
    });
  });

  it('OVR-3 names no product when the catalog has none in the group of the key', () => {
    const web = policy.catalog['windows-web-server-2008'];
    const catalog = { ...policy.catalog, 'windows-web-server-2008': { ...web, group: 'server-b' } } as const;
    const draft = draftRequest(
      aKmsKey({ productGroup: 'server-a' }),
      { agreement: anAgreement(), activationsRequested: 6 },
      { ...policy, catalog },
    );
    expect(Object.keys(draft)).not.toContain('product');
  });

  it('EXC-3 is MAKADD for a MAK and KMSADD for a KMS key', () => {
    expect(exceptionKindOf('MAK')).toBe('MAKADD');
    expect(exceptionKindOf('KMS')).toBe('KMSADD');
  });
});

describe('a key in a list', () => {
  it('KEY-6 shows its last five only', () => {
    expect(maskOf(aMak())).toBe('*****-*****-*****-*****-BCDFG');
  });
});
