/** Claim: the memory of listing a history does not grow with the number of states. */

import type { ListingMemory } from "./jobs/listing-memory.ts";
import { atMost } from "./support/claim.ts";
import type { Claim, Row } from "./support/claim.ts";
import { bytes } from "./support/format.ts";
import type { Lab } from "./support/lab.ts";
import type { StoredPlace } from "./support/place.ts";
import { median } from "./support/stats.ts";
import { CHECKPOINTS_PER_TURN } from "./workloads/chat.ts";
import { DOCUMENT_BYTES } from "./workloads/document.ts";

/** Flat, but for the noise of a heap of a few megabytes. */
const FLAT = atMost(1.2, "x");
/** V8 keeps or drops half a megabyte of compiled code as it likes. */
const SAMPLES = 5;

export const memory: Claim = {
  name: "memory",
  async run(lab, dialect) {
    const short = lab.newPlace(dialect, "holdfast");
    const long = lab.newPlace(dialect, "holdfast");
    await lab.run("buildDocument", { place: short, turns: lab.half });
    await lab.run("buildDocument", { place: long, turns: lab.turns });
    const chats = {
      short: (await lab.chat(dialect, "holdfast", lab.half)).place,
      long: (await lab.chat(dialect, "holdfast")).place,
    };
    const rows: Row[] = [];
    for (const through of ["saver.list", "getStateHistory"] as const) {
      rows.push(
        await compare(lab, { short, long, thread: "document", through }),
        await compare(lab, { ...chats, thread: "chat", through }),
      );
    }
    return rows;
  },
};

interface Comparison {
  readonly short: StoredPlace;
  readonly long: StoredPlace;
  readonly thread: ListingMemory["thread"];
  readonly through: ListingMemory["through"];
}

async function compare(lab: Lab, { short, long, thread, through }: Comparison): Promise<Row> {
  const few = lab.half * CHECKPOINTS_PER_TURN;
  const many = lab.turns * CHECKPOINTS_PER_TURN;
  const peak = async (place: StoredPlace, states: number): Promise<number> => {
    const peaks: number[] = [];
    for (let index = 0; index < SAMPLES; index++)
      peaks.push(await lab.run("listingMemory", { place, thread, through, states }));
    return median(peaks);
  };
  const low = await peak(short, few);
  const high = await peak(long, many);
  const figures = `${bytes(low)} with ${few} states, ${bytes(high)} with ${many}`;
  const claim = `peak memory of ${through}, ${many} states against ${few}`;
  if (thread === "document") {
    const size = bytes(DOCUMENT_BYTES);
    return {
      claim: `${claim}, each of ${size}`,
      target: FLAT,
      measured: high / low,
      figures: `${figures}, ${bytes((high - low) / (many - few))} a state more`,
    };
  }
  // Here the states themselves grow with the turns; twice the turns may take twice the memory.
  return {
    claim: `${claim}, chat thread`,
    target: atMost(2.2, "x"),
    measured: high / low,
    figures,
  };
}
