import { Secret } from '../../domain/secret.ts';
import type { Vault } from '../../store/vault.ts';
import { sameHash } from '../../store/vault.ts';

/** The version of the secret and 88 bits of the hash, too many to guess the signature of another request. */
const signatureDigits = 24;

/**
 * Returns the address for the answer to a question (EXC-14): the exceptions address with the id of the request and a
 * signature after a plus sign, such as `exceptions+EX-….<signature>@…`. Only the vault can sign for another request.
 * @param inbound the exceptions address itself.
 */
export function replyAddressFor(exceptionId: string, inbound: string, vault: Vault): string {
  const at = inbound.lastIndexOf('@');
  return `${inbound.slice(0, at)}+${exceptionId}.${signatureOf(exceptionId, vault)}${inbound.slice(at)}`;
}

/**
 * Returns the request of a reply address. An address with anything but a valid signature after its plus sign is `forged`,
 * and any other address, such as the exceptions address itself, is for `none`. Mail servers may change the case.
 */
export function parseReplyAddress(
  address: string,
  inbound: string,
  vault: Vault,
): { readonly kind: 'none' | 'forged' } | { readonly kind: 'request'; readonly exceptionId: string } {
  const at = inbound.lastIndexOf('@');
  const [local, domain] = [inbound.slice(0, at).toLowerCase(), inbound.slice(at).toLowerCase()];
  const normalized = address.trim().toLowerCase();
  if (!normalized.startsWith(`${local}+`) || !normalized.endsWith(domain)) return { kind: 'none' };
  const label = normalized.slice(local.length + 1, normalized.length - domain.length);
  const dot = label.lastIndexOf('.');
  const exceptionId = label.slice(0, dot).toUpperCase();
  return dot > 0 && sameHash(label.slice(dot + 1), signatureOf(exceptionId, vault))
    ? { kind: 'request', exceptionId }
    : { kind: 'forged' };
}

function signatureOf(exceptionId: string, vault: Vault): string {
  return vault.hashOf('reply-address', new Secret(exceptionId)).slice(0, signatureDigits);
}
