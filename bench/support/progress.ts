/** Progress on stderr: sparse enough for a log, often enough to see that it lives. */

const EVERY = 10_000;
let last = performance.now();

/** Says how far a long job has come, at most every ten seconds. */
export function progress(text: string): void {
  const now = performance.now();
  if (now - last < EVERY) return;
  last = now;
  process.stderr.write(`    ${text}\n`);
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}
