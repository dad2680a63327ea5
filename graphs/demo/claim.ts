/** What the demo says is checked when it is said. */

/** A claim that did not hold: the demo fails. */
class BrokenPromiseError extends Error {
  override readonly name = "BrokenPromiseError";
}

export function claim(holds: boolean, what: string): void {
  if (!holds) throw new BrokenPromiseError(`This did not hold: ${what}.`);
}
