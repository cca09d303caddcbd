import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { spawnSystem, waitForAddress } from '../test/local/child-process.ts';
import { activationBody } from './events.ts';
import { anAgreement, median, quantile } from './fixture.ts';
import type { Measurement } from './report.ts';

const clients = 16;
const manyKeys = 20;
const requestsPerRound = 400;
/** Rounds of each that are not counted, while the compiler of the system sees what is called often. */
const warmUpRounds = 2;
/** As few in a long run as in a short one: the system's table has a stream, with which the engine gets slower at each write. */
const rounds = 5;

const tokenSchema = z.object({ token: z.string() });
const agreementSchema = z.object({ agreementId: z.string() });
const keySchema = z.object({ keyId: z.string() });
const revealedSchema = z.object({ productKey: z.string() });

/**
 * Activations a second over HTTP, through the local gateway with everything behind it, for 16 clients who each wait for their
 * answer before they ask again. The system and the clients are processes of their own, on this machine; rounds on many
 * keys and on one are taken in turn.
 */
export async function measure(): Promise<readonly Measurement[]> {
  const system = spawnSystem();
  try {
    const address = await waitForAddress(system);
    const post = async <Answer>(path: string, token: string | null, body: unknown, schema: z.ZodType<Answer>) => {
      const response = await fetch(`${address}${path}`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          ...(token === null ? {} : { Authorization: `Bearer ${token}`, 'Idempotency-Key': randomUUID() }),
        },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`POST ${path} was answered ${response.status}: ${text}`);
      return schema.parse(JSON.parse(text));
    };
    const tokenOf = async (email: string, ...roles: string[]) =>
      (await post('/_local/tokens', null, { email, roles }, tokenSchema)).token;

    const admin = await tokenOf('olga.berg@vendor.example', 'licensing-admins');
    const activations = (warmUpRounds + rounds) * requestsPerRound;
    const createKey = async (number: number, limit: number): Promise<string> => {
      const { program, level, organization, contacts, noticesCorrespondent } = anAgreement(`BENCH-${number}`, limit);
      const registered = await post(
        '/agreements',
        admin,
        {
          program,
          level,
          authorizationNumber: `A-${number}`,
          licenseNumber: `L-${number}`,
          organization,
          products: [{ product: 'windows-vista-enterprise', licenses: limit }],
          contacts,
          noticesCorrespondent,
        },
        agreementSchema,
      );
      const contact = await tokenOf(contacts[0]?.email ?? '');
      const asked = { type: 'MAK', productGroup: 'client' };
      const { keyId } = await post(`/agreements/${registered.agreementId}/keys`, contact, asked, keySchema);
      return (await post(`/keys/${keyId}/reveal`, contact, {}, revealedSchema)).productKey;
    };
    const one = [await createKey(0, activations * 2)];
    const many: string[] = [];
    for (let number = 1; number <= manyKeys; number += 1) {
      many.push(await createKey(number, Math.ceil((activations * 4) / manyKeys)));
    }

    const round = async (keys: readonly string[]): Promise<RoundResult> => {
      const bodies = Array.from({ length: requestsPerRound }, (_, count) =>
        JSON.stringify(activationBody(keys[count % keys.length] ?? '')),
      ).values();
      const milliseconds: number[] = [];
      const before = performance.now();
      await Promise.all(
        Array.from({ length: clients }, async () => {
          for (const body of bodies) {
            const asked = performance.now();
            const response = await fetch(`${address}/activations`, {
              method: 'POST',
              headers: { 'Content-Type': 'application/json' },
              body,
            });
            const text = await response.text();
            if (response.status !== 201) throw new Error(`An activation was answered ${response.status}: ${text}`);
            milliseconds.push(performance.now() - asked);
          }
        }),
      );
      return { perSecond: (requestsPerRound * 1000) / (performance.now() - before), milliseconds };
    };
    const results = { many: [] as RoundResult[], one: [] as RoundResult[] };
    for (let turn = -warmUpRounds; turn < rounds; turn += 1) {
      const [onMany, onOne] = [await round(many), await round(one)];
      if (turn < 0) continue;
      results.many.push(onMany);
      results.one.push(onOne);
    }
    const toMeasurements = (what: string, some: readonly RoundResult[]): Measurement[] => {
      const all = some.flatMap(({ milliseconds }) => milliseconds);
      return [
        { what: `${what}: activations`, value: median(some.map(({ perSecond }) => perSecond)), unit: 'a second' },
        {
          what: `${what}: 99th percentile`,
          value: quantile(all, 0.99),
          unit: 'ms',
          baseline: { what: 'ms median', value: median(all) },
        },
      ];
    };
    return [
      ...toMeasurements(`${clients} clients on ${manyKeys} keys`, results.many),
      ...toMeasurements(`${clients} clients on one key`, results.one),
    ];
  } finally {
    system.kill('SIGTERM');
    await system.ended;
  }
}

type RoundResult = { readonly perSecond: number; readonly milliseconds: readonly number[] };
