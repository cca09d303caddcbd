import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import type { ProductKey } from '../domain/keys/product-key.ts';
import { parseProductKey } from '../domain/keys/product-key.ts';
import type { Secret } from '../domain/secret.ts';

/**
 * Protects secrets at rest (KEY-6, APR-1). A separate key for each purpose is derived from one root secret: to look up
 * a product key by a keyed hash, to seal it, to compute digests of installations, and to hash codes and tokens.
 *
 * Stored and published values begin with the version of the root secret: a hash with two hexadecimal digits (`01`), a
 * sealed text with a number (`1.`). So a second secret can be added without a migration. A digest has no version of its
 * own, because the ID of its key has one.
 */
export type Vault = {
  /**
   * Returns the ID of a product key: a keyed hash, so that an activation needs no look-up, and the table reveals no
   * key.
   */
  keyIdOf(productKey: ProductKey): string;
  /**
   * Seals a text with AES-256-GCM. It opens only with the same purpose, which is the ID of the item that contains it.
   */
  seal(text: string, purpose: string): string;
  /** Opens a sealed text. Throws if it was sealed for another purpose or modified. */
  open(sealed: string, purpose: string): string;
  /** Opens a sealed product key. Throws if the text is not a product key. */
  openProductKey(sealed: string, keyId: string): ProductKey;
  /** Returns the keyed digest of an installation on a key: deterministic, and impossible to guess (MAK-2). */
  digestOf(keyId: string, installationId: string): Buffer;
  /** Returns a keyed hash of a value that is only compared, such as an approval token or code (APR-1). */
  hashOf(purpose: string, value: Secret): string;
};

/**
 * Returns the vault of a root secret. Throws if the secret has less than 32 bytes.
 * @param version the version of the secret, from 1 to 255. Each secret has its own version.
 */
export function openVault(root: Secret, version = 1): Vault {
  const rootBytes = Buffer.from(root.reveal(), 'utf8');
  if (rootBytes.length < 32) throw new Error('The vault needs a root secret of at least 32 bytes.');
  if (!Number.isInteger(version) || version < 1 || version > 255)
    throw new Error(`The version of the root secret must be a number from 1 to 255, and is ${version}.`);
  // Key objects are created once. With raw bytes, every hash would create one and take several times as long.
  const derive = (purpose: string) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', rootBytes, '', `volume-activation/${purpose}`, 32)));
  const lookupKey = derive('find');
  const sealingKey = derive('seal');
  const digestKey = derive('answer');
  const hashingKey = derive('hash');
  const nonceKey = derive('nonce');

  const hashVersion = version.toString(16).padStart(2, '0');
  /** Returns the version and 62 digits (248 bits) of the hash, which is as long as a hash without a version. */
  const hashWith = (key: KeyObject, text: string) =>
    hashVersion + createHmac('sha256', key).update(text).digest('hex').slice(0, 62);

  const open = (sealed: string, purpose: string): string => {
    const [sealedWith, iv, tag, text] = sealed.split('.');
    if (iv === undefined || tag === undefined || text === undefined) {
      throw new Error('The text was not sealed by this vault.');
    }
    if (sealedWith !== String(version)) {
      throw new Error(`The text was sealed with another root secret than version ${version}.`);
    }
    // Without `authTagLength`, the decipher accepts tags of only four bytes.
    const decipher = createDecipheriv('aes-256-gcm', sealingKey, Buffer.from(iv, 'base64url'), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(purpose, 'utf8'));
    decipher.setAuthTag(Buffer.from(tag, 'base64url'));
    return Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]).toString('utf8');
  };

  return {
    keyIdOf: (productKey) => hashWith(lookupKey, productKey.reveal()).slice(0, 32),
    seal: (text, purpose) => {
      // The nonce is a keyed hash of the text: two different texts never share a nonce, and sealing needs no
      // randomness.
      const iv = createHmac('sha256', nonceKey)
        .update(JSON.stringify([purpose, text]))
        .digest()
        .subarray(0, 12);
      const cipher = createCipheriv('aes-256-gcm', sealingKey, iv);
      cipher.setAAD(Buffer.from(purpose, 'utf8'));
      const sealed = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      return [version, ...[iv, cipher.getAuthTag(), sealed].map((part) => part.toString('base64url'))].join('.');
    },
    open,
    openProductKey: (sealed, keyId) => {
      const productKey = parseProductKey(open(sealed, keyId));
      if (productKey === undefined) throw new Error(`The sealed text of ${keyId} is not a product key.`);
      return productKey;
    },
    digestOf: (keyId, installationId) => createHmac('sha256', digestKey).update(`${keyId}/${installationId}`).digest(),
    hashOf: (purpose, value) => hashWith(hashingKey, `${purpose}/${value.reveal()}`),
  };
}

/** Returns the SHA-256 digest of a text that is not secret. */
export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Compares two hashes in constant time. */
export function sameHash(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}
