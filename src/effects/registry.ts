/** Effects by name, so that any process that has loaded their modules can settle and undo them. */

import type { EffectOptions } from "./types.ts";

const effects = new Map<string, EffectOptions<unknown, unknown>>();

/** The latest definition of a name counts: a module may be loaded anew. */
export function register(options: EffectOptions<unknown, unknown>): void {
  effects.set(options.name, options);
}

export function registered(name: string): EffectOptions<unknown, unknown> | undefined {
  return effects.get(name);
}
