import { parseArgs } from 'node:util';
import { calendars, calendarsOfEveryZone, expectAgreement } from '../domain/calendar/business-time-oracle.ts';

/*
 * `npm run calendar -- --runs N --seed S`: compares business time with the oracle for N random questions of each kind,
 * such as due dates and pauses. One tenth of them are about calendars and weeks that are known to be difficult. The
 * others cover every time zone. Exits with code 1 at the first difference, and prints the smallest question that shows
 * it.
 */

/** The oracle caches every minute that it visits. Few calendars at a time keep the cache small. */
const calendarsPerBatch = 5;

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } } });
const runs = Number(values.runs ?? 1_000_000);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (![runs, seed].every(Number.isInteger) || runs < 1) {
  console.error('--runs and --seed require integers: npm run calendar -- --runs 1000000 --seed 1');
  process.exit(2);
}

const startedAt = performance.now();
const zoneCalendars = calendarsOfEveryZone(seed);
const eventfulRuns = Math.ceil(runs / 10);
console.log(`Seed ${seed}: ${runs} questions of each of six kinds.`);
try {
  expectAgreement(eventfulRuns, 'eventful-weeks', { seed });
  console.log(`${eventfulRuns} about eventful weeks of 2026 and 2027, in ${calendars.length} calendars: all agree.`);
  let runsDone = 0;
  for (let from = 0; from < zoneCalendars.length; from += calendarsPerBatch) {
    const among = zoneCalendars.slice(from, from + calendarsPerBatch);
    const target = Math.round(((runs - eventfulRuns) * (from + among.length)) / zoneCalendars.length);
    if (target > runsDone) expectAgreement(target - runsDone, 'eight-years', { seed: seed + from, among });
    runsDone = target;
  }
  console.log(`${runsDone} about 2024 to 2031, in ${zoneCalendars.length} calendars, one per time zone: all agree.`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
console.log(`Duration: ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
