/** `holdfast threads`: everything about threads that does not run a graph, and `fork`, which may. */

import type { Command } from "commander";
import type { Act } from "../../cli.ts";
import { addCopy } from "./copy.ts";
import { addDiff } from "./diff.ts";
import { addFork } from "./fork.ts";
import { addHistory } from "./history.ts";
import { addLs } from "./ls.ts";
import { addPrune } from "./prune.ts";
import { addRm } from "./rm.ts";
import { addState } from "./state.ts";
import { addStats } from "./stats.ts";

export function addThreads(program: Command, act: Act): void {
  const threads = program
    .command("threads")
    .summary("list, inspect, fork and prune threads")
    .description(
      "Lists, inspects, forks and prunes threads. Ids may be cut to a unique beginning.",
    );
  addLs(threads, act);
  addHistory(threads, act);
  addState(threads, act);
  addDiff(threads, act);
  addFork(threads, act);
  addCopy(threads, act);
  addRm(threads, act);
  addPrune(threads, act);
  addStats(threads, act);
}
