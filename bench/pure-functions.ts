import { randomBytes, randomInt } from 'node:crypto';
import { dueAt } from '../domain/calendar/business-time.ts';
import { fromEpochMilliseconds } from '../domain/calendar/instant.ts';
import { parseProductKey } from '../domain/keys/product-key.ts';
import { Secret } from '../domain/secret.ts';
import { openVault } from '../store/vault.ts';
import { drawKey, median, policy, rootSecret } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';

/** The samples that are prepared before the clock starts, and the duration of a round. */
const samplesPerRound = 1_000;
const roundMilliseconds = 50;

/** Measures computations without the database, on one core. The rounds of the computations alternate. */
export async function measure({ rounds }: RunOptions): Promise<readonly Measurement[]> {
  const vault = openVault(new Secret(rootSecret));
  const { supportCalendar } = policy;
  const samples = <Each>(make: () => Each): readonly Each[] => Array.from({ length: samplesPerRound }, make);
  const decade = { from: Date.UTC(2026, 0), to: Date.UTC(2036, 0) };
  const received = samples(() => fromEpochMilliseconds(decade.from + randomInt(decade.to - decade.from)));
  const keyTexts = samples(() => drawKey().reveal());
  const tokens = samples(() => new Secret(randomBytes(32).toString('base64url')));

  const all = [
    {
      label: 'due dates of moments within ten years',
      act: callForEach(received, (at) => dueAt(at, 5, supportCalendar)),
    },
    {
      label: 'product keys, parsed and hashed for lookup',
      act: callForEach(keyTexts, (text) => {
        const productKey = parseProductKey(text);
        return productKey === undefined ? undefined : vault.keyIdOf(productKey);
      }),
    },
    {
      label: 'tokens of approval links, hashed',
      act: callForEach(tokens, (token) => vault.hashOf('approval token', token)),
    },
  ].map((computation) => ({ ...computation, perSecond: [] as number[] }));

  for (let turn = -1; turn < rounds; turn += 1) {
    for (const { act, perSecond } of all) {
      const rate = round(act);
      // The first round warms up the compiler.
      if (turn >= 0) perSecond.push(rate);
    }
  }
  return all.map(({ label, perSecond }) => ({ label, value: median(perSecond), unit: 'per second' }));
}

/** Returns a function that computes a value for each sample. Every result must be defined. */
function callForEach<Sample>(samples: readonly Sample[], compute: (sample: Sample) => unknown): () => void {
  return () => {
    for (const sample of samples) if (compute(sample) === undefined) throw new Error('A computation has no result.');
  };
}

function round(action: () => void): number {
  const startedAt = performance.now();
  let count = 0;
  for (; performance.now() - startedAt < roundMilliseconds; count += samplesPerRound) action();
  return (count * 1000) / (performance.now() - startedAt);
}
