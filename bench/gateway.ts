import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { spawnSystem, waitForAddress } from '../test/local/child-process.ts';
import { activationBody } from './events.ts';
import { anAgreement, median, quantile } from './fixture.ts';
import type { Measurement } from './report.ts';

const clients = 16;
const manyKeys = 20;
const requestsPerRound = 400;
/** The first rounds are discarded, while the compiler of the system finds the hot code. */
const warmUpRounds = 2;
/** The same for a long run: the system's table has a stream, with which the emulator becomes slower at each write. */
const rounds = 5;

const tokenSchema = z.object({ token: z.string() });
const agreementSchema = z.object({ agreementId: z.string() });
const keySchema = z.object({ keyId: z.string() });
const revealSchema = z.object({ productKey: z.string() });

/**
 * Measures activations over HTTP through the complete local system. Each of 16 clients waits for a response before its
 * next request. The system runs in its own process on the same machine. The rounds on many keys and on one key
 * alternate.
 */
export async function measure(): Promise<readonly Measurement[]> {
  const system = spawnSystem();
  try {
    const address = await waitForAddress(system);
    const post = async <Value>(path: string, token: string | null, body: unknown, schema: z.ZodType<Value>) => {
      const response = await fetch(`${address}${path}`, {
        method: 'POST',
        headers: {
          'Content-Type': 'application/json',
          ...(token === null ? {} : { Authorization: `Bearer ${token}`, 'Idempotency-Key': randomUUID() }),
        },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      if (!response.ok) throw new Error(`POST ${path} returned ${response.status}: ${text}`);
      return schema.parse(JSON.parse(text));
    };
    const tokenOf = async (email: string, ...roles: string[]) =>
      (await post('/_local/tokens', null, { email, roles }, tokenSchema)).token;

    const admin = await tokenOf('olga.berg@vendor.example', 'licensing-admins');
    const activations = (warmUpRounds + rounds) * requestsPerRound;
    const createKey = async (number: number, limit: number): Promise<string> => {
      const { program, level, organization, contacts, noticesCorrespondent } = anAgreement(`BENCH-${number}`, limit);
      const { agreementId } = await post(
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
      const makRequest = { type: 'MAK', productGroup: 'client' };
      const { keyId } = await post(`/agreements/${agreementId}/keys`, contact, makRequest, keySchema);
      return (await post(`/keys/${keyId}/reveal`, contact, {}, revealSchema)).productKey;
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
      const startedAt = performance.now();
      await Promise.all(
        Array.from({ length: clients }, async () => {
          for (const body of bodies) {
            const sentAt = performance.now();
            const response = await fetch(`${address}/activations`, {
              method: 'POST',
              headers: { 'Content-Type': 'application/json' },
              body,
            });
            const text = await response.text();
            if (response.status !== 201) throw new Error(`An activation returned ${response.status}: ${text}`);
            milliseconds.push(performance.now() - sentAt);
          }
        }),
      );
      return { perSecond: (requestsPerRound * 1000) / (performance.now() - startedAt), milliseconds };
    };
    const results = { many: [] as RoundResult[], one: [] as RoundResult[] };
    for (let turn = -warmUpRounds; turn < rounds; turn += 1) {
      const [onMany, onOne] = [await round(many), await round(one)];
      if (turn < 0) continue;
      results.many.push(onMany);
      results.one.push(onOne);
    }
    const toMeasurements = (label: string, some: readonly RoundResult[]): Measurement[] => {
      const all = some.flatMap(({ milliseconds }) => milliseconds);
      return [
        { label: `${label}: activations`, value: median(some.map(({ perSecond }) => perSecond)), unit: 'per second' },
        {
          label: `${label}: 99th percentile`,
          value: quantile(all, 0.99),
          unit: 'ms',
          baseline: { label: 'ms median', value: median(all) },
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
