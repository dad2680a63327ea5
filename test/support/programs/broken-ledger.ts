/** A ledger without claims: what is performed is on record only afterwards. */

import type { EffectWrite } from "../../../src/effect-store.ts";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";

export function forgetClaims(saver: HoldfastSaver): void {
  const { effects } = saver.steps;
  if (effects === undefined) throw new Error("There is no ledger to break.");
  const write = effects.write.bind(effects);
  const claims = new Map<string, EffectWrite>();
  effects.write = (change) => {
    const { row, version, replaces } = change;
    if (row.state === "claimed") {
      claims.set(version, { ...(claims.get(replaces ?? "") ?? change), version });
      return Promise.resolve(true);
    }
    const claim = claims.get(replaces ?? "");
    return write(
      claim === undefined
        ? change
        : { ...claim, ...change, replaces: claim.replaces, claims: claim.claims },
    );
  };
}
