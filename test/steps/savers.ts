/** Savers under which durable nodes are tested: `describe.each(SAVERS)("%s", (_, open) => ...)`. */

import { MemorySaver, type BaseCheckpointSaver } from "@langchain/langgraph";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { isDurableSaver, type DurableSaver } from "../../src/step-store.ts";
import { memorySteps } from "../../src/steps/memory.ts";
import { PLACES } from "../support/places.ts";

export interface Opened {
  saver: DurableSaver;
  clock: ManualClock;
  /** Another process's view of the same database: shares nothing but what is stored. */
  again(): DurableSaver;
}

type Open = () => Promise<Opened>;

/** LangGraph's saver with a step store: the same behaviour without a database. */
export const inMemory: Open = async () => {
  const clock = new ManualClock();
  const plain: BaseCheckpointSaver = new MemorySaver();
  const saver = Object.assign(plain, { steps: memorySteps({ clock, saver: plain }) });
  return { saver, clock, again: () => saver };
};

export const SAVERS: [name: string, open: Open][] = [
  ["memory", inMemory],
  ...PLACES.map(([name, newPlace]): [string, Open] => [
    name,
    async () => {
      const place = await newPlace();
      const clock = new ManualClock();
      const open = (): DurableSaver => {
        const saver = place.open({ clock });
        if (!isDurableSaver(saver)) throw new Error("The saver has no steps.");
        return saver;
      };
      return { saver: open(), clock, again: open };
    },
  ]),
];
