import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { generateKeyPair, type JWK, SignJWT, UnsecuredJWT } from 'jose';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addDuration, type Instant } from '../../../domain/calendar/instant.ts';
import { createTokenService, localAudience, localIssuer, tokenLifetimeDays } from '../../../local/emulators/cognito.ts';
import { mondayNine } from '../../instants.ts';

const ann = { email: 'Ann@contoso.example', roles: ['call-center', 'exceptions-team'] };
const refused = { ok: false };

/** The sign-in with a clock that a test moves. */
const signIn = async (options: { folder?: string } = {}) => {
  let at: Instant = mondayNine;
  const tokens = await createTokenService({ now: () => at, ...options });
  return {
    ...tokens,
    advanceTo: (to: Instant) => {
      at = to;
    },
  };
};

describe('a token that was issued here', () => {
  it('is accepted, and its claims come as the JWT authorizer of an HTTP API hands them over', async () => {
    const { issue, verify } = await signIn();
    const verdict = await verify(`Bearer ${await issue(ann)}`);
    const issuedAtSeconds = Date.parse(mondayNine) / 1000;
    expect(verdict).toEqual({
      ok: true,
      claims: {
        iss: localIssuer,
        aud: localAudience,
        sub: expect.stringMatching(/^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-8[\da-f]{3}-[\da-f]{12}$/),
        email: 'Ann@contoso.example',
        email_verified: 'true',
        token_use: 'id',
        'cognito:groups': '[call-center exceptions-team]',
        iat: String(issuedAtSeconds),
        exp: String(issuedAtSeconds + tokenLifetimeDays * 86_400),
      },
    });
  });

  it('has no groups at all for a person without a role', async () => {
    const { issue, verify } = await signIn();
    const verdict = await verify(await issue({ email: 'ann@contoso.example' }));
    expect(verdict.ok && Object.keys(verdict.claims)).not.toContain('cognito:groups');
  });

  it('names the same subject for the same person, and another for another', async () => {
    const { issue, verify } = await signIn();
    const subject = async (email: string) => {
      const verdict = await verify(await issue({ email }));
      return verdict.ok && verdict.claims.sub;
    };
    expect(await subject('ANN@contoso.example')).toBe(await subject('ann@contoso.example'));
    expect(await subject('bob@contoso.example')).not.toBe(await subject('ann@contoso.example'));
  });

  it.each(['Bearer ', 'bearer ', '  BEARER   ', ''])('is accepted after "%s"', async (scheme) => {
    const { issue, verify } = await signIn();
    expect(await verify(`${scheme}${await issue(ann)}`)).toMatchObject({ ok: true });
  });

  it('survives an advance of the clock by three weeks and expires by that clock to the second', async () => {
    const { issue, verify, advanceTo } = await signIn();
    const token = await issue(ann);
    advanceTo(addDuration(mondayNine, { days: 21 }));
    expect(await verify(token)).toMatchObject({ ok: true });
    advanceTo(addDuration(mondayNine, { days: tokenLifetimeDays, seconds: -1 }));
    expect(await verify(token)).toMatchObject({ ok: true });
    advanceTo(addDuration(mondayNine, { days: tokenLifetimeDays }));
    expect(await verify(token)).toEqual(refused);
  });
});

describe('a token that was not', () => {
  const claims = { email: 'ann@contoso.example', token_use: 'id' };
  const farAway = Date.parse('2099-01-01T00:00:00Z') / 1000;

  it('is refused without a signature', async () => {
    const { verify } = await signIn();
    const unsigned = new UnsecuredJWT(claims).setIssuer(localIssuer).setAudience(localAudience).setSubject('ann');
    expect(await verify(unsigned.setExpirationTime(farAway).encode())).toEqual(refused);
  });

  it.each(['ES256', 'RS256'])('is refused when another %s key signed it', async (algorithm) => {
    const { verify } = await signIn();
    const { privateKey } = await generateKeyPair(algorithm);
    const foreign = new SignJWT(claims).setProtectedHeader({ alg: algorithm, kid: 'local' }).setIssuer(localIssuer);
    const token = await foreign
      .setAudience(localAudience)
      .setSubject('ann')
      .setExpirationTime(farAway)
      .sign(privateKey);
    expect(await verify(token)).toEqual(refused);
  });

  it('is refused when another sign-in issued it, though all that it says is the same', async () => {
    const [here, there] = await Promise.all([signIn(), signIn()]);
    expect(await here.verify(await there.issue(ann))).toEqual(refused);
  });

  it('is refused when any one of its characters was changed', async () => {
    const { issue, verify } = await signIn();
    const token = await issue(ann);
    // The last character of a signature carries bits that decode to nothing, so it is left as it is.
    for (let at = 0; at < token.length - 1; at++) {
      const changed = `${token.slice(0, at)}${token[at] === 'A' ? 'B' : 'A'}${token.slice(at + 1)}`;
      expect(await verify(changed)).toEqual(refused);
    }
  });

  it.each([undefined, '', 'Bearer', 'Bearer ', 'Basic YTpi', 'a.b.c', 'Bearer a.b.c', 'null', '...', 'Bearer a b'])(
    'is refused without throwing: %s',
    async (header) => {
      expect(await (await signIn()).verify(header)).toEqual(refused);
    },
  );

  it('is refused without throwing, whatever text it is', async () => {
    const { verify } = await signIn();
    const part = fc.oneof(
      fc.string(),
      fc.base64String(),
      fc.json().map((text) => Buffer.from(text).toString('base64url')),
    );
    const header = fc.oneof(
      fc.string(),
      fc.tuple(part, part, part).map((parts) => parts.join('.')),
    );
    await fc.assert(
      fc.asyncProperty(header, async (text) => {
        expect(await verify(text)).toEqual(refused);
      }),
    );
  });
});

describe('a sign-in whose key is kept in a folder', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tokens-'));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it('accepts after a restart what it issued before, and keeps the key from others', async () => {
    const token = await (await signIn({ folder: join(folder, 'new') })).issue(ann);
    expect(await (await signIn({ folder: join(folder, 'new') })).verify(token)).toMatchObject({ ok: true });
    expect(statSync(join(folder, 'new', 'sign-in-key.json')).mode & 0o777).toBe(0o600);
  });

  /** A token signed with the very key of the sign-in, whatever it claims. */
  const signed = async (claims: object) => {
    const { verify } = await signIn({ folder });
    const key: JWK = JSON.parse(readFileSync(join(folder, 'sign-in-key.json'), 'utf8'));
    return { verify, token: await new SignJWT({ ...claims }).setProtectedHeader({ alg: 'ES256' }).sign(key) };
  };
  const good = {
    iss: localIssuer,
    aud: localAudience,
    sub: 'ann',
    exp: Date.parse(mondayNine) / 1000 + 1,
    email: 'ann@contoso.example',
    token_use: 'id',
  };

  it('accepts what that key signed, if all is there', async () => {
    const { verify, token } = await signed(good);
    expect(await verify(token)).toMatchObject({ ok: true });
  });

  it.each([
    ['for another issuer', { ...good, iss: 'https://elsewhere.example' }],
    ['for another audience', { ...good, aud: 'elsewhere' }],
    ['already ended', { ...good, exp: Date.parse(mondayNine) / 1000 }],
    ['that does not count yet', { ...good, nbf: Date.parse(mondayNine) / 1000 + 1 }],
    ['without an end', { ...good, exp: undefined }],
    ['without a subject', { ...good, sub: undefined }],
    ['without an email address', { ...good, email: undefined }],
    ['without an issuer', { ...good, iss: undefined }],
    ['without an audience', { ...good, aud: undefined }],
  ])('refuses what that key signed %s', async (_, claims) => {
    const { verify, token } = await signed(claims);
    expect(await verify(token)).toEqual(refused);
  });

  it('starts where somebody was killed in the middle of writing the key', async () => {
    writeFileSync(join(folder, 'sign-in-key.json.new'), '{"kty":"E');
    const token = await (await signIn({ folder })).issue(ann);
    expect(await (await signIn({ folder })).verify(token)).toMatchObject({ ok: true });
  });

  it.each(['', 'not JSON', '{"kty":"RSA"}'])('does not start from a key file that says "%s"', async (text) => {
    writeFileSync(join(folder, 'sign-in-key.json'), text);
    await expect(signIn({ folder })).rejects.toThrow(/sign-in-key\.json has no valid sign-in key\. Delete the file/);
  });
});
