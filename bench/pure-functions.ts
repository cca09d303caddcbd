import { randomBytes, randomInt } from 'node:crypto';
import { dueAt } from '../domain/calendar/business-time.ts';
import { fromEpochMilliseconds } from '../domain/calendar/instant.ts';
import { parseProductKey } from '../domain/keys/product-key.ts';
import { Secret } from '../domain/secret.ts';
import { openVault } from '../store/vault.ts';
import { draw, median, policy, rootSecret } from './fixture.ts';
import type { Effort, Row } from './report.ts';

/** How many of each are prepared before the clock runs, and how long a round of each lasts. */
const prepared = 1_000;
const roundMilliseconds = 50;

/** What is reckoned without the database, each over and over on one core: rounds of each are taken in turn. */
export async function measure({ rounds }: Effort): Promise<readonly Row[]> {
  const vault = openVault(new Secret(rootSecret));
  const { supportCalendar } = policy;
  const some = <Each>(make: () => Each): readonly Each[] => Array.from({ length: prepared }, make);
  const decade = { from: Date.UTC(2026, 0), to: Date.UTC(2036, 0) };
  const received = some(() => fromEpochMilliseconds(decade.from + randomInt(decade.to - decade.from)));
  const typed = some(() => draw().reveal());
  const tokens = some(() => new Secret(randomBytes(32).toString('base64url')));

  const all = [
    { what: 'due dates, of moments in ten years', act: each(received, (at) => dueAt(at, 5, supportCalendar)) },
    {
      what: 'product keys, read and looked up by their keyed hash',
      act: each(typed, (text) => {
        const productKey = parseProductKey(text);
        return productKey === undefined ? undefined : vault.keyIdOf(productKey);
      }),
    },
    {
      what: 'tokens of approval links, by their keyed hash',
      act: each(tokens, (token) => vault.hashOf('approval token', token)),
    },
  ].map((check) => ({ ...check, perSecond: [] as number[] }));

  for (let turn = -1; turn < rounds; turn += 1) {
    for (const { act, perSecond } of all) {
      const taken = round(act);
      // The first round is for the compiler.
      if (turn >= 0) perSecond.push(taken);
    }
  }
  return all.map(({ what, perSecond }) => ({ what, measured: median(perSecond), unit: 'a second' }));
}

/** Does it for each of many, one after the other; every one must come to something. */
function each<Given>(all: readonly Given[], act: (given: Given) => unknown): () => void {
  return () => {
    for (const given of all) if (act(given) === undefined) throw new Error('A check came to nothing.');
  };
}

function round(act: () => void): number {
  const before = performance.now();
  let done = 0;
  for (; performance.now() - before < roundMilliseconds; done += prepared) act();
  return (done * 1000) / (performance.now() - before);
}
