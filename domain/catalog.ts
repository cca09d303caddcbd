export const productGroups = ['client', 'server-a', 'server-b', 'server-c'] as const;

/** A product group (KEY-3). They are listed lowest first: a KMS key covers its own group and every group before it. */
export type ProductGroup = (typeof productGroups)[number];

export const products = [
  'windows-vista-business',
  'windows-vista-enterprise',
  'windows-web-server-2008',
  'windows-server-2008-standard',
  'windows-server-2008-enterprise',
  'windows-server-2008-datacenter',
  'windows-server-2008-itanium',
] as const;
export type Product = (typeof products)[number];

export type KeyType = 'MAK' | 'KMS';

/** The group and the display name of every product. They are part of the policy. */
export type Catalog = Readonly<Record<Product, { readonly group: ProductGroup; readonly name: string }>>;

/** Lists the products that a key covers: a MAK its own group only, a KMS key its group and every lower one (KEY-3). */
export function productsCovered(keyType: KeyType, group: ProductGroup, catalog: Catalog): readonly Product[] {
  const top = productGroups.indexOf(group);
  return products.filter((product) => {
    const rank = productGroups.indexOf(catalog[product].group);
    return keyType === 'MAK' ? rank === top : rank <= top;
  });
}

/** Returns true when a key of this type and group covers the product (KEY-3, MAK-3). */
export function covers(keyType: KeyType, group: ProductGroup, product: Product, catalog: Catalog): boolean {
  return productsCovered(keyType, group, catalog).includes(product);
}

export const programs = ['enterprise', 'select', 'campus-and-school', 'open'] as const;
export type Program = (typeof programs)[number];

export const levels = ['A', 'B', 'C', 'D'] as const;
export type Level = (typeof levels)[number];
