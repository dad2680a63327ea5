/** A project with a graph that does things to the world: a label, then a payment that is refused. */

import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TestProject } from "./project.ts";

const index = JSON.stringify(join(import.meta.dirname, "../../../src/index.ts"));

const SOURCE = `import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { appendFileSync, existsSync } from "node:fs";
import { durable, effect } from ${index};

const State = Annotation.Root({ order: Annotation<string>(), label: Annotation<string>() });
const here = (file) => new URL(file, import.meta.url);
const done = (what) => appendFileSync(here("world.log"), what + "\\n");
const refused = (message) => Object.assign(new Error(message), { status: 402 });

export const label = effect({
  name: "label",
  run: ({ order }) => {
    done("label " + order);
    if (existsSync(here("kill-label"))) process.kill(process.pid, "SIGKILL");
    return { id: "lb_" + order };
  },
  onUnknown: "ask",
  undo: (_, made) => {
    if (existsSync(here("undo-fails"))) throw refused("the carrier says no");
    done("void " + made?.id);
  },
});

export const orders = new StateGraph(State)
  .addNode("ship", durable(async ({ order }) => ({ label: (await label({ order }, { key: order })).id })))
  .addNode("pay", durable(() => {
    if (existsSync(here("paid"))) return {};
    throw refused("the card was refused");
  }))
  .addEdge(START, "ship")
  .addEdge("ship", "pay")
  .addEdge("pay", END)
  .compile();
`;

export const ORDERS = "./orders.ts:orders";

export class OrdersProject extends TestProject {
  constructor() {
    super();
    this.write("orders.ts", SOURCE);
  }

  /** A switch that the graph looks at. */
  turn(name: "kill-label" | "undo-fails" | "paid", on: boolean): void {
    if (on) this.write(name, "");
    else rmSync(this.path(name), { force: true });
  }

  /** What was done to the world since the last call. */
  world(): string[] {
    const file = this.path("world.log");
    if (!existsSync(file)) return [];
    const lines = readFileSync(file, "utf8").trim().split("\n");
    rmSync(file);
    return lines;
  }
}
