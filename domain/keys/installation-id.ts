import type { Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';

/**
 * An installation id names one installation on one machine: 54 digits, nine groups of five digits and a check digit.
 * It is always kept bare, without spaces or hyphens.
 */
export type InstallationId = string & { readonly brand: 'installation-id' };

const digitsPerGroup = 5;
const installationGroups = 9;
const confirmationGroups = 8;
const confirmationDigits = confirmationGroups * digitsPerGroup;
/** So many confirmation ids there are. */
const confirmationCount = 10n ** BigInt(confirmationDigits);

/**
 * Reads an installation id as a person reads it out: groups may stand apart by spaces or hyphens.
 * Refuses with `invalid-installation-id`, naming by number (from 1) the groups whose check digit is wrong, so that the
 * caller can be asked for just those again (OVR-1).
 */
export function parseInstallationId(text: string): Result<{ readonly installationId: InstallationId }> {
  const digits = text.replace(/[\s-]/g, '');
  const digitCount = installationGroups * (digitsPerGroup + 1);
  if (!/^\d*$/.test(digits) || digits.length !== digitCount) {
    return refuse(
      'invalid-installation-id',
      `An installation id is ${digitCount} digits in nine groups of six, and this is not: it has ${digits.length} characters, spaces and hyphens aside. Read all of it from the machine again.`,
      { groups: [] },
    );
  }
  const groups = (digits.match(/\d{6}/g) ?? []).flatMap((group, index) =>
    checkDigit(group.slice(0, digitsPerGroup)) === group.slice(digitsPerGroup) ? [] : [index + 1],
  );
  if (groups.length > 0) {
    const [named, again] = groups.length === 1 ? ['group', 'it'] : ['groups', 'them'];
    return refuse(
      'invalid-installation-id',
      `There is a mistake in ${named} ${groups.join(', ')} of the installation id. Read ${again} again.`,
      { groups },
    );
  }
  return { ok: true, installationId: digits as InstallationId };
}

/** The check digit that Luhn's algorithm gives for a group's five digits. */
export function checkDigit(group: string): string {
  let sum = 0;
  for (let fromRight = 1; fromRight <= group.length; fromRight += 1) {
    const value = Number(group.charAt(group.length - fromRight)) * (fromRight % 2 === 1 ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return String((10 - (sum % 10)) % 10);
}

/** Adds to each group of five digits its check digit: how installation and confirmation ids are written. */
export function withCheckDigits(digits: string): string {
  return (digits.match(/\d{5}/g) ?? []).map((group) => group + checkDigit(group)).join('');
}

/** The five digits of each group, without the check digits: all that an installation id really says. */
export function withoutCheckDigits(id: InstallationId): string {
  return (id.match(/\d{6}/g) ?? []).map((group) => group.slice(0, digitsPerGroup)).join('');
}

/** The installation id whose groups have these 45 digits; the reverse of `withoutCheckDigits`. */
export function installationIdFrom(digits: string): InstallationId {
  return withCheckDigits(digits) as InstallationId;
}

/**
 * The confirmation id that a machine is answered with: 48 digits, eight groups with check digits, made from a keyed
 * digest of at least 20 bytes, so that the same installation and key always get the same (MAK-2).
 */
export function confirmationIdFrom(digest: Uint8Array): string {
  const view = new DataView(digest.buffer, digest.byteOffset, 20);
  const number = [0, 4, 8, 12, 16].reduce((sum, at) => (sum << 32n) | BigInt(view.getUint32(at)), 0n);
  return withCheckDigits((number % confirmationCount).toString().padStart(confirmationDigits, '0'));
}
