/** A project with a graph whose second node waits until it is told to go on. */

import { existsSync } from "node:fs";
import { vi } from "vitest";
import { TestProject } from "./project.ts";

const SOURCE = `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { appendFileSync, existsSync } from "node:fs";

const State = Annotation.Root({
  log: Annotation<string[]>({ reducer: (known, more) => known.concat(more), default: () => [] }),
});
const here = (file) => new URL(file, import.meta.url);
const step = (name) => () => {
  appendFileSync(here("ran.log"), name + "\\n");
  return { log: [name] };
};

export const graph = new StateGraph(State)
  .addNode("first", step("first"))
  .addNode("slow", async () => {
    const made = step("slow")();
    while (!existsSync(here("go"))) await new Promise((resolve) => setTimeout(resolve, 20));
    return made;
  })
  .addNode("last", step("last"))
  .addEdge(START, "first").addEdge("first", "slow").addEdge("slow", "last").addEdge("last", END)
  .compile();
`;

export const SLOW = "./slow.ts:graph";

export class SlowProject extends TestProject {
  constructor() {
    super();
    this.write("slow.ts", SOURCE);
  }

  /** Settles once the slow node has begun; what ran up to there is forgotten. */
  async begun(): Promise<void> {
    const ran: string[] = [];
    await vi.waitFor(
      () => {
        if (existsSync(this.path("ran.log"))) ran.push(...this.ran());
        if (ran.at(-1) !== "slow") throw new Error(`It has run ${ran.join(", ") || "nothing"}.`);
      },
      { timeout: 60_000 },
    );
  }

  go(): void {
    this.write("go", "");
  }
}
