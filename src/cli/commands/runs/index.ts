/** `holdfast runs`: runs that are done by workers. */

import type { Command } from "commander";
import type { Act } from "../../cli.ts";
import { addChanges } from "./change.ts";
import { addGet } from "./get.ts";
import { addLs } from "./ls.ts";
import { addStart } from "./start.ts";
import { addTail } from "./tail.ts";
import { addWait } from "./wait.ts";

export function addRuns(program: Command, act: Act): void {
  const runs = program
    .command("runs")
    .summary("runs that are done by workers")
    .description(
      "Runs that were accepted, here or by a runtime of the application, and are done by workers " +
        "(`holdfast worker`). A run is named by its id, or by any unique beginning of it.",
    );
  addStart(runs, act);
  addLs(runs, act);
  addGet(runs, act);
  addTail(runs, act);
  addWait(runs, act);
  addChanges(runs, act);
}
