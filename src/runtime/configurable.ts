/** What a run's nodes find in `config.configurable`, beside what LangGraph and holdfast put there. */

import { InvalidInputError } from "../errors.ts";

const OWN = /^(thread_id|checkpoint_|__)/;

/** @throws {InvalidInputError} no object, or it names what is not the user's to say */
export function checkedConfigurable(
  configurable: Record<string, unknown>,
): Record<string, unknown> {
  if (typeof configurable !== "object" || configurable === null || Array.isArray(configurable)) {
    throw new InvalidInputError(
      `The configurable of a run is an object, not ${JSON.stringify(configurable)}.`,
    );
  }
  const taken = Object.keys(configurable).find((name) => OWN.test(name));
  if (taken === undefined) return configurable;
  throw new InvalidInputError(
    `The configurable of a run cannot have "${taken}": threads and checkpoints are named by the runtime.`,
  );
}
