const concurrency = 25;

/** Calls a function for each item, at most 25 calls at a time. Returns the results in order; throws the first error. */
export async function mapInBatches<Each, Result>(
  items: readonly Each[],
  act: (each: Each) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += concurrency)
    results.push(...(await Promise.all(items.slice(start, start + concurrency).map(act))));
  return results;
}
