import type { Result } from '../refusal.ts';
import { refuse } from '../refusal.ts';

/**
 * The id of one installation on one machine: 54 digits, in nine groups of five digits and a check digit. It is stored
 * without spaces and hyphens.
 */
export type InstallationId = string & { readonly brand: 'installation-id' };

const digitsPerGroup = 5;
const installationGroups = 9;
const confirmationGroups = 8;
const confirmationDigits = confirmationGroups * digitsPerGroup;
/** The number of possible confirmation ids. */
const confirmationCount = 10n ** BigInt(confirmationDigits);

/**
 * Parses an installation id. Spaces and hyphens between groups are allowed.
 * Refuses with `invalid-installation-id`. Its `groups` are the numbers (from 1) of the groups with a wrong check digit,
 * so that an agent can ask the caller for these groups again (OVR-1).
 */
export function parseInstallationId(text: string): Result<{ readonly installationId: InstallationId }> {
  const digits = text.replace(/[\s-]/g, '');
  const digitCount = installationGroups * (digitsPerGroup + 1);
  if (!/^\d*$/.test(digits) || digits.length !== digitCount) {
    return refuse(
      'invalid-installation-id',
      `An installation id has ${digitCount} digits, in nine groups of six. This one has ${digits.length} characters, not counting spaces and hyphens. Read the complete id from the machine again.`,
      { groups: [] },
    );
  }
  const groups = (digits.match(/\d{6}/g) ?? []).flatMap((group, index) =>
    checkDigit(group.slice(0, digitsPerGroup)) === group.slice(digitsPerGroup) ? [] : [index + 1],
  );
  if (groups.length > 0) {
    const [noun, pronoun] = groups.length === 1 ? ['group', 'it'] : ['groups', 'them'];
    return refuse(
      'invalid-installation-id',
      `There is a mistake in ${noun} ${groups.join(', ')} of the installation id. Read ${pronoun} from the machine again.`,
      { groups },
    );
  }
  return { ok: true, installationId: digits as InstallationId };
}

/** Computes the check digit of a group of five digits by the Luhn algorithm. */
export function checkDigit(group: string): string {
  let sum = 0;
  for (let fromRight = 1; fromRight <= group.length; fromRight += 1) {
    const value = Number(group.charAt(group.length - fromRight)) * (fromRight % 2 === 1 ? 2 : 1);
    sum += value > 9 ? value - 9 : value;
  }
  return String((10 - (sum % 10)) % 10);
}

/** Adds the check digit to each group of five digits, as installation and confirmation ids are written. */
export function withCheckDigits(digits: string): string {
  return (digits.match(/\d{5}/g) ?? []).map((group) => group + checkDigit(group)).join('');
}

/** Removes the check digits, which carry no information: returns the five digits of each group. */
export function withoutCheckDigits(id: InstallationId): string {
  return (id.match(/\d{6}/g) ?? []).map((group) => group.slice(0, digitsPerGroup)).join('');
}

/** Returns the installation id with these 45 digits. It is the inverse of `withoutCheckDigits`. */
export function installationIdFrom(digits: string): InstallationId {
  return withCheckDigits(digits) as InstallationId;
}

/**
 * Makes the confirmation id for a machine: 48 digits, in eight groups with check digits. It is made from a keyed digest
 * of at least 20 bytes, so that the same installation and key always get the same one (MAK-2).
 */
export function confirmationIdFrom(digest: Uint8Array): string {
  const view = new DataView(digest.buffer, digest.byteOffset, 20);
  const number = [0, 4, 8, 12, 16].reduce((sum, at) => (sum << 32n) | BigInt(view.getUint32(at)), 0n);
  return withCheckDigits((number % confirmationCount).toString().padStart(confirmationDigits, '0'));
}
