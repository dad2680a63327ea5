/** Claim: twice the turns, about twice the bytes. */

import { atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import { bytes } from "./support/format.ts";

export const growth: Claim = {
  name: "growth",
  async run(lab, dialect) {
    const half = (await lab.chat(dialect, "holdfast", lab.half)).bytes;
    const whole = (await lab.chat(dialect, "holdfast")).bytes;
    let figures = `holdfast ${bytes(half)}, then ${bytes(whole)}`;
    if (lab.official) {
      const theirHalf = (await lab.chat(dialect, "official", lab.half)).bytes;
      const theirs = (await lab.chat(dialect, "official")).bytes;
      const times = (theirs / theirHalf).toFixed(2);
      figures += `; official ${bytes(theirHalf)}, then ${bytes(theirs)} (${times}x)`;
    }
    return [
      {
        claim: `growth: ${lab.turns} turns against ${lab.half} turns, bytes`,
        target: atMost(2.2, "x"),
        measured: whole / half,
        figures,
      },
    ];
  },
};
