/** Claims: bytes on disk against distinct content, and against the official saver. */

import { atLeast, atMost } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import { bytes } from "./support/format.ts";
import { chatContentBytes } from "./workloads/chat.ts";

const CONTENT = { sqlite: atMost(4), postgres: atMost(5) };
const OFFICIAL = { sqlite: atLeast(150), postgres: atLeast(100) };

export const storage: Claim = {
  name: "storage",
  async run(lab, dialect) {
    const content = chatContentBytes(lab.turns);
    const ours = (await lab.chat(dialect, "holdfast")).bytes;
    const rows: Row[] = [
      {
        claim: "bytes on disk / distinct content",
        target: CONTENT[dialect],
        measured: ours / content,
        figures: `${bytes(ours)} on disk for ${bytes(content)} of messages`,
      },
    ];
    if (lab.official) {
      const theirs = (await lab.chat(dialect, "official")).bytes;
      rows.push({
        claim: "bytes on disk, times smaller than official",
        target: OFFICIAL[dialect],
        measured: theirs / ours,
        figures: `holdfast ${bytes(ours)}, official ${bytes(theirs)}`,
      });
    }
    return rows;
  },
};
