import { randomBytes, randomInt } from 'node:crypto';
import { dueAt } from '../domain/calendar/business-time.ts';
import { fromEpochMilliseconds } from '../domain/calendar/instant.ts';
import { parseProductKey } from '../domain/keys/product-key.ts';
import { Secret } from '../domain/secret.ts';
import { openVault } from '../store/vault.ts';
import { drawKey, median, policy, rootSecret } from './fixture.ts';
import type { Measurement, RunOptions } from './report.ts';

/** How many of each are prepared before the clock runs, and how long a round of each lasts. */
const samplesPerRound = 1_000;
const roundMilliseconds = 50;

/** What is reckoned without the database, each over and over on one core: rounds of each are taken in turn. */
export async function measure({ rounds }: RunOptions): Promise<readonly Measurement[]> {
  const vault = openVault(new Secret(rootSecret));
  const { supportCalendar } = policy;
  const samples = <Each>(make: () => Each): readonly Each[] => Array.from({ length: samplesPerRound }, make);
  const decade = { from: Date.UTC(2026, 0), to: Date.UTC(2036, 0) };
  const received = samples(() => fromEpochMilliseconds(decade.from + randomInt(decade.to - decade.from)));
  const keyTexts = samples(() => drawKey().reveal());
  const tokens = samples(() => new Secret(randomBytes(32).toString('base64url')));

  const all = [
    { what: 'due dates, of moments in ten years', act: callForEach(received, (at) => dueAt(at, 5, supportCalendar)) },
    {
      what: 'product keys, read and looked up by their keyed hash',
      act: callForEach(keyTexts, (text) => {
        const productKey = parseProductKey(text);
        return productKey === undefined ? undefined : vault.keyIdOf(productKey);
      }),
    },
    {
      what: 'tokens of approval links, by their keyed hash',
      act: callForEach(tokens, (token) => vault.hashOf('approval token', token)),
    },
  ].map((check) => ({ ...check, perSecond: [] as number[] }));

  for (let turn = -1; turn < rounds; turn += 1) {
    for (const { act, perSecond } of all) {
      const rate = round(act);
      // The first round is for the compiler.
      if (turn >= 0) perSecond.push(rate);
    }
  }
  return all.map(({ what, perSecond }) => ({ what, value: median(perSecond), unit: 'a second' }));
}

/** Does it for each of many, one after the other; every one must come to something. */
function callForEach<Given>(all: readonly Given[], check: (sample: Given) => unknown): () => void {
  return () => {
    for (const sample of all) if (check(sample) === undefined) throw new Error('A check came to nothing.');
  };
}

function round(action: () => void): number {
  const before = performance.now();
  let count = 0;
  for (; performance.now() - before < roundMilliseconds; count += samplesPerRound) action();
  return (count * 1000) / (performance.now() - before);
}
