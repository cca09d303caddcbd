import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errors, exportJWK, generateKeyPair, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import type { Instant } from '../../domain/calendar/instant.ts';

/** The issuer and the audience of local tokens. No other system accepts them. */
export const localIssuer = 'https://sign-in.volume-activation.localhost';
export const localAudience = 'volume-activation-local';

/**
 * The lifetime of a token by the local clock. Tokens of the deployed system last about an hour. Here, users advance the
 * clock by weeks between two commands and must stay signed in. No request can take 90 days.
 */
export const tokenLifetimeDays = 90;

const algorithm = 'ES256';

/** The claims of a JWT as the JWT authorizer of an HTTP API passes them: all values are strings; a list is `[a b]`. */
export type Claims = Readonly<Record<string, string>>;

export type TokenVerification = { readonly ok: true; readonly claims: Claims } | { readonly ok: false };

export type TokenService = {
  /**
   * Returns a signed JWT for an email address, with the claims of a user pool's ID token. Without roles, it has no
   * `cognito:groups`.
   */
  issue(person: { readonly email: string; readonly roles?: readonly string[] }): Promise<string>;
  /**
   * Verifies an Authorization header, with or without the word Bearer: signature, issuer, audience, and expiry by the
   * local clock. Returns `{ ok: false }` for any invalid header.
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
 * Creates the sign-in of the local system. It issues tokens to anyone and verifies them like the deployed API gateway.
 *
 * With a `folder`, the key pair is in its `sign-in-key.json`, which only its owner can read, so that tokens survive a
 * restart. Otherwise, each start generates a key pair. The algorithm is ES256, because an RSA key pair can take a second
 * to generate. Throws when the file has other content.
 */
export async function createTokenService({
  now,
  folder,
}: {
  now: () => Instant;
  folder?: string;
}): Promise<TokenService> {
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

/** Returns the subject of an email address: a UUID that is always the same for the same address, as in a user pool. */
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
    // The rename is atomic: a process that is killed here leaves no incomplete key.
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
    throw new Error(
      `${file} has no valid sign-in key. Delete the file to generate a new key. All users must then sign in again.`,
      {
        cause: error,
      },
    );
  }
}
