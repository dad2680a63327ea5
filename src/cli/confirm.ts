/** Asking before what cannot be taken back. */

import { InvalidInputError } from "../errors.ts";
import type { Cli } from "./cli.ts";
import { Exit, EXIT } from "./exit.ts";

/**
 * Goes on only after a yes.
 * @throws {InvalidInputError} nobody can be asked
 */
export async function confirm(
  { io, out }: Cli,
  { question, otherwise, unasked }: { question: string; otherwise: string; unasked: string },
): Promise<void> {
  if (io.ask === undefined) throw new InvalidInputError(unasked);
  const answer = await io.ask(`${question} [y/N] `);
  if (/^y(es)?$/i.test(answer.trim())) return;
  out.note(otherwise);
  throw new Exit(EXIT.failure);
}
