import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { instant } from '../../domain/calendar/instant.ts';
import { diceOf } from '../simulation/prng.ts';
import { auditBook, auditTable, repeatedMails } from './audit.ts';
import type { Tally } from './statistics.ts';
import type { Once, Victim } from './system-process.ts';
import { Ended, victimIn } from './system-process.ts';
import type { Book } from './workload.ts';
import { itemsIn, liveStory, team, textIn } from './workload.ts';

export type Course = {
  readonly kills: number;
  readonly seed: number;
  /** How many customers deal with the system at once. */
  readonly atOnce: number;
  /** What happens is added to it. */
  readonly tally: Tally;
  /** Breaks it off: what comes of it is `Ended` then. */
  readonly signal?: AbortSignal;
};

/** Longer than any request may be open, with what a lost workflow takes to be found. */
const untilAllIsOver = ['P20D', 'P20D', 'P20D'];

/** In operations that are acknowledged. */
const longestLife = 80;

/** What a customer needs to come to an end, ten times over. */
const patienceMilliseconds = 600_000;

/**
 * Kills the local system again and again while customers deal with it, at any moment of its life, and checks after each
 * start that everything fits together; in the end, that nothing that was acknowledged is lost, nothing is there twice, and
 * all that was begun came to its end. Stops at the first thing that is wrong, and answers with what is. Leaves no process
 * and no folder behind.
 */
export async function killAgainAndAgain(course: Course): Promise<readonly string[]> {
  if (course.signal?.aborted) throw new Ended();
  const folder = mkdtempSync(join(tmpdir(), 'kill-'));
  const victim = victimIn(folder, course.tally);
  course.signal?.addEventListener('abort', () => void victim.end());
  try {
    return await run(course, folder, victim);
  } finally {
    await victim.end();
    // An engine that was just being started ends a moment after who started it.
    rmSync(folder, { recursive: true, maxRetries: 20, retryDelay: 50 });
  }
}

async function run(course: Course, folder: string, victim: Victim): Promise<readonly string[]> {
  const { kills, seed, atOnce, tally, signal } = course;
  const { wrong } = victim;
  const dice = diceOf(seed, 1);
  const books: Book[] = [];
  const alive = new Set<Book>();
  let customers = 0;
  let stopping = false;

  const untilStopping = async (act: () => Promise<void>) => {
    try {
      while (!stopping) await act();
    } catch (error) {
      if (!(error instanceof Ended)) wrong.push(error instanceof Error ? String(error.stack) : String(error));
    }
  };
  const live = async () => {
    customers += 1;
    const begun = (book: Book) => {
      tally.customers += 1;
      books.push(book);
      alive.add(book);
    };
    alive.delete(await liveStory(victim, diceOf(seed, 2, customers), 1_000 + customers, begun));
  };
  const weather = diceOf(seed, 3);
  // What is wound on far lets requests lapse that people are about to decide; both are wanted.
  const passTime = async () => {
    await sleep(400 + weather.below(1_200));
    await victim.wind(
      weather.weighed([
        [6, 'PT10M'],
        [3, 'PT3H'],
        [1, 'P1D'],
      ]),
    );
  };
  const startLives = () => [...Array.from({ length: atOnce }, () => untilStopping(live)), untilStopping(passTime)];

  const now = async (once: Once) => {
    const answer = await once({ method: 'GET', path: '/_local/clock' });
    return instant(textIn(answer?.body, 'now'));
  };
  /** Lets what is begun again after a start come to rest, and looks whether what customers are at fits together. */
  const settle = async (once: Once): Promise<readonly string[]> => {
    await once({ method: 'POST', path: '/_local/clock', body: { advance: 'PT1S' } });
    const ids = [...alive].map(({ agreementId }) => agreementId);
    return auditTable(victim.engine(), folder, ids, await now(once), tally);
  };
  const auditAll = async (isOver: boolean): Promise<readonly string[]> => {
    // What was decided last is still being passed on.
    await victim.wind('PT1S');
    const found: string[] = [];
    for (const book of books) found.push(...(await auditBook(victim.ask, book, isOver)));
    return [...found, ...(await auditTable(victim.engine(), folder, undefined, await now(victim.ask), tally))];
  };

  let startMilliseconds = 0;
  const start = async () => {
    const began = performance.now();
    await victim.start(settle);
    startMilliseconds = performance.now() - began;
  };
  let left = kills;
  const kill = async () => {
    await victim.kill(dice);
    left -= 1;
  };
  await start();
  const lives = startLives();
  while (left > 0 && wrong.length === 0) {
    // A life is as long as what is done in it, so that a slow machine has as much to lose.
    const enough = tally.acknowledged + dice.below(longestLife);
    while (tally.acknowledged < enough && wrong.length === 0 && !signal?.aborted) await sleep(1);
    await sleep(dice.below(30));
    await kill();
    // Some are killed before they are up, or while they take up again what was left.
    while (left > 0 && dice.chance(0.2)) {
      const starting = victim.start(settle);
      await Promise.race([starting, sleep(startMilliseconds * dice.of([0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9]))]);
      await kill();
      await starting;
    }
    await start();
  }
  if (wrong.length > 0) return wrong;

  // What was begun is finished, and nothing is begun any more.
  stopping = true;
  await Promise.race([Promise.all(lives), sleep(patienceMilliseconds, undefined, { ref: false })]);
  for (const { agreementId } of alive) wrong.push(`${agreementId} did not come to an end.`);
  if (wrong.length === 0) wrong.push(...(await auditAll(false)));
  if (wrong.length > 0) return wrong;
  for (const duration of untilAllIsOver) await victim.wind(duration);
  wrong.push(...(await auditAll(true)));
  await tellOutcome(victim, books, tally);
  return wrong;
}

/** Adds up what came of it all. */
async function tellOutcome({ ask }: Victim, books: readonly Book[], tally: Tally): Promise<void> {
  for (const { agreementId, machines } of books) {
    tally.activations += [...machines.values()].filter(({ activationId }) => activationId !== null).length;
    const { body } = await ask({ method: 'GET', path: `/exceptions?agreementId=${agreementId}`, as: team });
    for (const request of itemsIn(body)) {
      const status = textIn(request, 'status');
      tally.ends.set(status, (tally.ends.get(status) ?? 0) + 1);
    }
  }
  const { body: mails } = await ask({ method: 'GET', path: '/_local/mail' });
  tally.repeatedMails += repeatedMails(itemsIn(mails));
}
