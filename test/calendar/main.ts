import { parseArgs } from 'node:util';
import { calendars, calendarsOfEveryZone, expectAgreement } from '../domain/calendar/business-time-oracle.ts';

/*
 * `npm run calendar -- --runs N --seed S`: asks business time N random questions of each kind, due dates and pauses among
 * them, and counts every answer again along the minutes of the clock on the wall. A tenth of them are about the calendars
 * and weeks that are known to be hard; the others go through every time zone. Ends with 1 at the first disagreement, and
 * with the smallest question that shows it.
 */

/** An oracle remembers every minute that it has looked at, so only a few calendars are in mind at once. */
const calendarsAtOnce = 5;

const { values } = parseArgs({ options: { runs: { type: 'string' }, seed: { type: 'string' } } });
const runs = Number(values.runs ?? 1_000_000);
const seed = Number(values.seed ?? Date.now() % 1_000_000);
if (![runs, seed].every(Number.isInteger) || runs < 1) {
  console.error('Say how many questions and which seed: npm run calendar -- --runs 1000000 --seed 1');
  process.exit(2);
}

const startedAt = performance.now();
const ofEveryZone = calendarsOfEveryZone(seed);
const hard = Math.ceil(runs / 10);
console.log(`Seed ${seed}: ${runs} questions of each of six kinds.`);
try {
  expectAgreement(hard, 'eventful-weeks', { seed });
  console.log(`${hard} about the eventful weeks of 2026 and 2027, in ${calendars.length} calendars: all agree.`);
  let asked = 0;
  for (let from = 0; from < ofEveryZone.length; from += calendarsAtOnce) {
    const among = ofEveryZone.slice(from, from + calendarsAtOnce);
    const upToHere = Math.round(((runs - hard) * (from + among.length)) / ofEveryZone.length);
    if (upToHere > asked) expectAgreement(upToHere - asked, 'eight-years', { seed: seed + from, among });
    asked = upToHere;
  }
  console.log(`${asked} about 2024 to 2031, in ${ofEveryZone.length} calendars, one for each time zone: all agree.`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
console.log(`It took ${((performance.now() - startedAt) / 1000).toFixed(0)} s.`);
