import { describe, expect, it } from 'vitest';
import { draftRequest, exceptionKindOf, refuseUnlessCovered, refuseUnlessLive } from '../../../domain/keys/key.ts';
import { maskedKey } from '../../../domain/keys/product-key.ts';
import { aKmsKey, aMak, anAgreement, blockedState, blockingState, policy } from '../../builders.ts';

describe('an operation that needs a live key', () => {
  it('BLK-1 is allowed while the key is live', () => {
    expect(refuseUnlessLive(aMak())).toBeUndefined();
  });

  it('BLK-1 is refused for a blocked key, with the last five characters of its replacement', () => {
    expect(refuseUnlessLive(aMak({ state: blockedState() }))).toEqual({
      ok: false,
      refusal: {
        code: 'key-blocked',
        detail: 'The key ending in BCDFG is blocked. Use the key ending in QRTVW, which replaced it.',
        replacedBy: 'QRTVW',
      },
    });
  });

  it('BLK-1 is refused for a blocked key without a replacement, with advice to ask the license administrator', () => {
    expect(refuseUnlessLive(aKmsKey({ state: blockedState(null) }))).toEqual({
      ok: false,
      refusal: {
        code: 'key-blocked',
        detail: 'The key ending in HJKMP is blocked. Ask your license administrator for the current key.',
        replacedBy: null,
      },
    });
  });

  it('BLK-2 is refused while the key is being replaced', () => {
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

describe('a product to activate', () => {
  it('MAK-3 is allowed in the group of the MAK', () => {
    expect(refuseUnlessCovered(aMak(), 'windows-vista-enterprise', policy)).toBeUndefined();
  });

  it('MAK-3 is refused in another group, with the names and codes of what the MAK covers', () => {
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

  it('MAK-3 is refused in a lower group, which a MAK does not cover', () => {
    const mak = aMak({ productGroup: 'server-b' });
    expect(refuseUnlessCovered(mak, 'windows-vista-business', policy)?.refusal).toMatchObject({
      covers: ['windows-server-2008-standard', 'windows-server-2008-enterprise'],
    });
  });

  it('KEY-3 is allowed in a lower group than that of a KMS key, and refused in a higher one', () => {
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

describe('a draft of an exception request', () => {
  it('MAK-5 has the kind, the organization, the key, and the number', () => {
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

  it('OVR-3 has both numbers of an Open agreement, and a product of the key when none is given', () => {
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

  it('OVR-3 has no product when the catalog has none in the group of the key', () => {
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
  it('KEY-6 shows only its last five characters', () => {
    expect(maskedKey(aMak().lastFive)).toBe('*****-*****-*****-*****-BCDFG');
  });
});
