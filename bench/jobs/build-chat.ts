/** Plays turns of the chat thread and times each. */

import { withSaver } from "../support/open-saver.ts";
import type { Place } from "../support/place.ts";
import { progress } from "../support/progress.ts";
import { THREAD, chatGraph, chatTurn, checkChatState } from "../workloads/chat.ts";

export interface BuildChat {
  readonly place: Place;
  /** Goes on with a thread that already has this many turns. */
  readonly from: number;
  readonly to: number;
}

/** Milliseconds of each turn played. */
export async function buildChat({ place, from, to }: BuildChat): Promise<number[]> {
  return withSaver(place, async (saver) => {
    const graph = chatGraph(saver);
    const times: number[] = [];
    for (let turn = from; turn < to; turn++) {
      const start = performance.now();
      await chatTurn(graph, turn);
      times.push(performance.now() - start);
      progress(`turn ${turn + 1} of ${to}`);
    }
    checkChatState((await graph.getState(THREAD)).values, to * 2);
    return times;
  });
}
