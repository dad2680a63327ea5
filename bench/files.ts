/** Claim: a map of files of which each step changes one. */

import { bytesOnDisk } from "./support/bytes.ts";
import { atMost } from "./support/claim.ts";
import type { Claim } from "./support/claim.ts";
import { bytes, ms } from "./support/format.ts";
import type { Lab } from "./support/lab.ts";
import { FLOOR } from "./support/place.ts";
import type { Dialect, Maker } from "./support/place.ts";
import { filesContentBytes } from "./workloads/files.ts";

export const files: Claim = {
  name: "files",
  async run(lab, dialect) {
    const steps = lab.fileSteps;
    const content = filesContentBytes(steps);
    const ours = await build(lab, dialect, "holdfast");
    const floor = await lab.run("buildFiles", { place: FLOOR, steps });
    let figures =
      `${bytes(ours.bytes)} on disk for ${bytes(content)} of files; ` +
      `a step: holdfast ${ms(ours.perStep)}, floor ${ms(floor)}`;
    if (lab.official) {
      const theirs = await build(lab, dialect, "official");
      figures += `, official ${ms(theirs.perStep)} and ${bytes(theirs.bytes)} on disk`;
    }
    return [
      {
        claim: `files map, 500 entries of 4 kB, one changed in each of ${steps} steps: bytes / distinct content`,
        target: atMost(3),
        measured: ours.bytes / content,
        figures,
      },
    ];
  },
};

async function build(lab: Lab, dialect: Dialect, maker: Maker) {
  const place = lab.newPlace(dialect, maker);
  const perStep = await lab.run("buildFiles", { place, steps: lab.fileSteps });
  return { perStep, bytes: await bytesOnDisk(place) };
}
