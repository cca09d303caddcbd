import { describe, expect, it } from 'vitest';
import type { Product, ProductGroup } from '../../domain/catalog.ts';
import { covers, productGroups, products, productsCovered } from '../../domain/catalog.ts';
import { policy } from '../builders.ts';

const { catalog } = policy;

const inGroup: Record<ProductGroup, readonly Product[]> = {
  client: ['windows-vista-business', 'windows-vista-enterprise'],
  'server-a': ['windows-web-server-2008'],
  'server-b': ['windows-server-2008-standard', 'windows-server-2008-enterprise'],
  'server-c': ['windows-server-2008-datacenter', 'windows-server-2008-itanium'],
};

describe('the catalog', () => {
  it('KEY-3 has four groups, lowest first', () => {
    expect(productGroups).toEqual(['client', 'server-a', 'server-b', 'server-c']);
  });

  it('KEY-3 assigns every product to its group', () => {
    for (const group of productGroups) {
      expect(products.filter((product) => catalog[product].group === group)).toEqual(inGroup[group]);
    }
  });
});

describe.each(productGroups)('a MAK of the group %s', (group) => {
  it('KEY-3 covers the products of its own group only', () => {
    expect(productsCovered('MAK', group, catalog)).toEqual(inGroup[group]);
  });

  it.each(products)('MAK-3 covers %s only if it is in its group', (product) => {
    expect(covers('MAK', group, product, catalog)).toBe(inGroup[group].includes(product));
  });
});

describe.each([
  ['client', ['client']],
  ['server-a', ['client', 'server-a']],
  ['server-b', ['client', 'server-a', 'server-b']],
  ['server-c', ['client', 'server-a', 'server-b', 'server-c']],
] as const)('a KMS key of the group %s', (group, groups) => {
  const covered = groups.flatMap((each) => inGroup[each]);

  it('KEY-3 covers the products of its group and of every lower group', () => {
    expect(productsCovered('KMS', group, catalog)).toEqual(covered);
  });

  it.each(products)('KEY-3 covers %s only if it is in one of these groups', (product) => {
    expect(covers('KMS', group, product, catalog)).toBe(covered.includes(product));
  });
});
