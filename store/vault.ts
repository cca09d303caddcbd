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
 * What keeps secrets secret at rest (KEY-6, APR-1). From one root secret, separate keys are derived for each purpose:
 * finding a product key by a keyed hash, sealing it, answering activations, and hashing codes and tokens.
 *
 * What is stored or handed out begins with the version of the root secret that it was made with: a hash with two
 * hexadecimal digits (`01`), a sealed text with a number (`1.`). So a second secret can be added without rewriting
 * anything. A digest needs no version of its own: the id of its key has it.
 */
export type Vault = {
  /** The id of a product key: a keyed hash, so that a device's request needs no look-up and the table tells no key. */
  keyIdOf(productKey: ProductKey): string;
  /** Seals a text (AES-256-GCM) so that it opens only for the same purpose: the id of what it belongs to. */
  seal(text: string, purpose: string): string;
  /** Opens what was sealed for the purpose. Throws when it was sealed for another one or was tampered with. */
  open(sealed: string, purpose: string): string;
  /** Opens a sealed product key. Throws when what comes out is none. */
  openProductKey(sealed: string, keyId: string): ProductKey;
  /** The keyed digest of one installation on one key: always the same, and not to be guessed (MAK-2). */
  digestOf(keyId: string, installationId: string): Buffer;
  /** A keyed hash for what is compared and never read back: approval tokens and codes (APR-1). */
  hashOf(purpose: string, value: Secret): string;
};

/**
 * Opens the vault with its root secret of at least 32 bytes.
 * @param version which secret it is, from 1 to 255: another secret has another version.
 */
export function openVault(root: Secret, version = 1): Vault {
  const rootBytes = Buffer.from(root.reveal(), 'utf8');
  if (rootBytes.length < 32) throw new Error('The vault needs a root secret of at least 32 bytes.');
  if (!Number.isInteger(version) || version < 1 || version > 255)
    throw new Error(`The version of the root secret must be a number from 1 to 255, and is ${version}.`);
  // Key objects, made once: from bytes, every hash would make one anew and take several times as long.
  const derive = (purpose: string) =>
    createSecretKey(Buffer.from(hkdfSync('sha256', rootBytes, '', `volume-activation/${purpose}`, 32)));
  const lookupKey = derive('find');
  const sealingKey = derive('seal');
  const digestKey = derive('answer');
  const hashingKey = derive('hash');
  const nonceKey = derive('nonce');

  const hashVersion = version.toString(16).padStart(2, '0');
  /** The version and 62 digits: as long as a plain hash, with 248 bits of it. */
  const hashWith = (key: KeyObject, text: string) =>
    hashVersion + createHmac('sha256', key).update(text).digest('hex').slice(0, 62);

  const open = (sealed: string, purpose: string): string => {
    const [sealedWith, iv, tag, text] = sealed.split('.');
    if (iv === undefined || tag === undefined || text === undefined) {
      throw new Error('What is to be opened was not sealed by this vault.');
    }
    if (sealedWith !== String(version)) {
      throw new Error(`What is to be opened was sealed with another root secret than version ${version}.`);
    }
    // Unless told its length, the decipher would be content with the first four bytes of a tag.
    const decipher = createDecipheriv('aes-256-gcm', sealingKey, Buffer.from(iv, 'base64url'), { authTagLength: 16 });
    decipher.setAAD(Buffer.from(purpose, 'utf8'));
    decipher.setAuthTag(Buffer.from(tag, 'base64url'));
    return Buffer.concat([decipher.update(Buffer.from(text, 'base64url')), decipher.final()]).toString('utf8');
  };

  return {
    keyIdOf: (productKey) => hashWith(lookupKey, productKey.reveal()).slice(0, 32),
    seal: (text, purpose) => {
      // The nonce is a keyed hash of what is sealed: two different texts never share one, and sealing needs no randomness.
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
      if (productKey === undefined) throw new Error(`The sealed key of ${keyId} is no product key.`);
      return productKey;
    },
    digestOf: (keyId, installationId) => createHmac('sha256', digestKey).update(`${keyId}/${installationId}`).digest(),
    hashOf: (purpose, value) => hashWith(hashingKey, `${purpose}/${value.reveal()}`),
  };
}

/** A plain digest, for fingerprints of what is no secret. */
export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Compares two hashes without telling by its time how much of them agrees. */
export function sameHash(one: string, other: string): boolean {
  const a = Buffer.from(one);
  const b = Buffer.from(other);
  return a.length === b.length && timingSafeEqual(a, b);
}
