import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errors, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';

/** Who signs in the local system, and whom the tokens are for. Nothing outside it accepts either. */
export const localIssuer = 'https://sign-in.volume-activation.localhost';
export const localAudience = 'volume-activation-local';

/**
 * How long a token is good for, by the local clock. The deployed system's tokens last an hour or so; here people wind
 * the clock on by weeks between two commands, and must not be signed out by it. Ninety days is longer than the longest
 * story the rules can tell of one request, and still an end that can be reached and is checked.
 */
export const tokenLifetimeDays = 90;

const algorithm = 'ES256';

/** A JWT's claims as an HTTP API's JWT authorizer hands them to a Lambda: every value is text, a list is `[a b]`. */
export type Claims = Readonly<Record<string, string>>;

export type TokenVerification = { readonly ok: true; readonly claims: Claims } | { readonly ok: false };

export type TokenService = {
  /**
   * A signed JWT for that e-mail address, in the shape of a user pool's id token. Without roles it has no
   * `cognito:groups`.
   */
  issue(person: { readonly email: string; readonly roles?: readonly string[] }): Promise<string>;
  /**
   * Judges an Authorization header, with or without the word Bearer: signature, issuer, audience, and expiry by the
   * local clock. Whatever is wrong with it, and whatever it is, the answer is `{ ok: false }`.
   */
  verify(bearer: string | undefined): Promise<TokenVerification>;
};

type SigningKey = z.infer<typeof SigningKey>;
const SigningKey = z.object({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  kid: z.string(),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});

/**
 * The sign-in of the local system: issues tokens to whoever asks and verifies them as the deployed system's gateway
 * would.
 *
 * The key pair is made at the start. With a `folder` it is kept there (`sign-in-key.json`, readable by its owner
 * alone), so that a token outlives a restart. The keys are elliptic: an RSA pair takes from a fiftieth of a second to a
 * whole one, and the algorithm is nothing that a handler sees. Throws when the kept file is not one of ours.
 */
export async function createTokenService({ now, folder }: { now: () => Instant; folder?: string }): Promise<TokenService> {
  const privateKey = await loadSigningKey(folder);
  const { d: _, ...publicKey } = privateKey;

  return {
    async issue({ email, roles = [] }) {
      const issuedAtSeconds = Math.floor(Date.parse(now()) / 1000);
      return new SignJWT({
        email,
        email_verified: true,
        token_use: 'id',
        ...(roles.length > 0 && { 'cognito:groups': roles }),
      })
        .setProtectedHeader({ alg: algorithm, kid: privateKey.kid })
        .setSubject(subjectFor(email))
        .setIssuer(localIssuer)
        .setAudience(localAudience)
        .setIssuedAt(issuedAtSeconds)
        .setExpirationTime(issuedAtSeconds + tokenLifetimeDays * 24 * 60 * 60)
        .sign(privateKey);
    },

    async verify(bearer) {
      const [, token] = /^\s*(?:Bearer\s+)?(\S+)\s*$/i.exec(bearer ?? '') ?? [];
      if (token === undefined) return { ok: false };
      try {
        const { payload } = await jwtVerify(token, publicKey, {
          algorithms: [algorithm],
          issuer: localIssuer,
          audience: localAudience,
          currentDate: new Date(Date.parse(now())),
          requiredClaims: ['exp', 'sub', 'email', 'token_use'],
        });
        return { ok: true, claims: toAuthorizerClaims(payload) };
      } catch (error) {
        if (error instanceof errors.JOSEError) return { ok: false };
        throw error;
      }
    },
  };
}

function toAuthorizerClaims(payload: object): Claims {
  return Object.fromEntries(
    Object.entries(payload).map(([name, value]) => [
      name,
      Array.isArray(value) ? `[${value.join(' ')}]` : String(value),
    ]),
  );
}

/** The same person is the same subject each time, as in a user pool: a UUID made from the address. */
function subjectFor(email: string): string {
  const hex = createHash('sha256').update(email.toLowerCase()).digest('hex');
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})(.{12}).*$/, '$1-$2-4$3-8$4-$5');
}

async function loadSigningKey(folder: string | undefined): Promise<SigningKey> {
  const file = folder === undefined ? undefined : join(folder, 'sign-in-key.json');
  const stored = file === undefined ? undefined : await readSigningKey(file);
  if (stored !== undefined) return stored;
  const { privateKey } = await generateKeyPair(algorithm, { extractable: true });
  const key = SigningKey.parse({ ...(await exportJWK(privateKey)), kid: 'local' });
  if (folder !== undefined && file !== undefined) {
    await mkdir(folder, { recursive: true });
    // Written beside and put in its place in one step: who is killed meanwhile leaves no half of a key.
    await writeFile(`${file}.new`, JSON.stringify(key), { mode: 0o600 });
    await rename(`${file}.new`, file);
  }
  return key;
}

async function readSigningKey(file: string): Promise<SigningKey | undefined> {
  try {
    return SigningKey.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new Error(`${file} holds no sign-in key. Delete it: a new one is made, and everybody signs in again.`, {
      cause: error,
    });
  }
}
