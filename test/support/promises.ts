/**
 * The README's table of promises, as data. A row reads
 *
 *     | P3 | **History is true.** ... | `test/a.test.ts > title`, `test/b.test.ts > suite > title` |
 *
 * and names each proof as `vitest list` does, whole or cut off in front of a " > ": a file or a suite
 * stands for the tests in it.
 */

export interface Promised {
  id: string;
  proofs: string[];
}

export function promisesIn(readme: string): Promised[] {
  return readme.split("\n").flatMap((line) => {
    const row = /^\| *(P\d+) *\|.*\|([^|]*)\|$/.exec(line);
    if (row === null) return [];
    const [, id = "", proofs = ""] = row;
    return [{ id, proofs: [...proofs.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "") }];
  });
}

/** One sentence for each promise whose proof is missing; `passed` holds `file > suite > title`. */
export function brokenPromises(promises: Promised[], passed: ReadonlySet<string>): string[] {
  if (promises.length === 0) return ["the table of promises is gone."];
  return promises.flatMap(({ id, proofs }) => {
    if (proofs.length === 0) return [`promise ${id} names no test.`];
    return proofs
      .filter(
        (proof) => ![...passed].some((test) => test === proof || test.startsWith(`${proof} > `)),
      )
      .map((proof) => `promise ${id} names "${proof}", which did not pass in this run.`);
  });
}
