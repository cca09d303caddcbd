import { Secret } from '../../domain/secret.ts';
import type { Vault } from '../../store/vault.ts';
import { sameHash } from '../../store/vault.ts';

/** The version of the secret and 88 bits: nobody finds the mark of another request by trying. */
const markDigits = 24;

/**
 * The address at which an answer to a question arrives (EXC-14): the exceptions address with the request's id and a mark
 * behind a plus sign, such as `exceptions+EX-….<mark>@…`. Without the vault nobody can make one for another request.
 * @param inbound the exceptions address itself.
 */
export function replyAddressFor(exceptionId: string, inbound: string, vault: Vault): string {
  const at = inbound.lastIndexOf('@');
  return `${inbound.slice(0, at)}+${exceptionId}.${markOf(exceptionId, vault)}${inbound.slice(at)}`;
}

/**
 * Which request an address is for: the exceptions address itself is for `none`, one with a good mark for that request, and
 * one with another mark, or whatever else is behind its plus sign, is `forged`. Mail systems may change its case.
 */
export function requestAt(
  address: string,
  inbound: string,
  vault: Vault,
): { readonly is: 'none' | 'forged' } | { readonly is: 'request'; readonly exceptionId: string } {
  const at = inbound.lastIndexOf('@');
  const [local, domain] = [inbound.slice(0, at).toLowerCase(), inbound.slice(at).toLowerCase()];
  const given = address.trim().toLowerCase();
  if (!given.startsWith(`${local}+`) || !given.endsWith(domain)) return { is: 'none' };
  const label = given.slice(local.length + 1, given.length - domain.length);
  const dot = label.lastIndexOf('.');
  const exceptionId = label.slice(0, dot).toUpperCase();
  return dot > 0 && sameHash(label.slice(dot + 1), markOf(exceptionId, vault))
    ? { is: 'request', exceptionId }
    : { is: 'forged' };
}

function markOf(exceptionId: string, vault: Vault): string {
  return vault.hashOf('reply-address', new Secret(exceptionId)).slice(0, markDigits);
}
