import { Secret } from '../../domain/secret.ts';
import type { Vault } from '../../store/vault.ts';
import { sameHash } from '../../store/vault.ts';

/** The version of the secret and 88 bits: nobody finds the mark of another request by trying. */
const signatureDigits = 24;

/**
 * The address at which an answer to a question arrives (EXC-14): the exceptions address with the request's id and a mark
 * behind a plus sign, such as `exceptions+EX-….<mark>@…`. Without the vault nobody can make one for another request.
 * @param inbound the exceptions address itself.
 */
export function replyAddressFor(exceptionId: string, inbound: string, vault: Vault): string {
  const at = inbound.lastIndexOf('@');
  return `${inbound.slice(0, at)}+${exceptionId}.${signatureOf(exceptionId, vault)}${inbound.slice(at)}`;
}

/**
 * Which request an address is for: the exceptions address itself is for `none`, one with a good mark for that request, and
 * one with another mark, or whatever else is behind its plus sign, is `forged`. Mail systems may change its case.
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
