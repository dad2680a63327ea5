/**
 * Runs, or goes on with, a thread whose node charges an order through an effect. Args: place, thread, URL
 * of the outside world, and the rest as JSON (see `Task`).
 */

import { Command, entrypoint, task } from "@langchain/langgraph";
import { effect } from "../../../src/effects/effect.ts";
import type { EffectOptions } from "../../../src/effects/types.ts";
import { graphOf } from "../../effects/support/world.ts";
import { describeError, say } from "../child-side.ts";
import { openSaver } from "../open-saver.ts";

export interface Task {
  unknown: "reconcile" | "repeat" | "ask";
  key?: string;
  durability?: "sync" | "async" | "exit";
  where?: "node" | "subgraph" | "unsaved subgraph" | "entrypoint" | "task";
  resume?: Record<string, unknown>;
}

const [place, threadId, url, json] = process.argv.slice(2) as [string, string, string, string];
const { unknown, key, durability = "sync", where = "node", resume } = JSON.parse(json) as Task;

async function post(path: string, idempotencyKey: string): Promise<unknown> {
  const headers = { "idempotency-key": idempotencyKey };
  return (await fetch(`${url}/${path}`, { method: "POST", headers })).json();
}

const base = {
  name: "charge",
  run: (_order: string, { idempotencyKey }: { idempotencyKey: string }) =>
    post("charge", idempotencyKey),
};
const options: EffectOptions<string, unknown> =
  unknown === "reconcile"
    ? {
        ...base,
        reconcile: async (_order, { idempotencyKey }) =>
          (await post("find", idempotencyKey)) as { done: false },
      }
    : { ...base, onUnknown: unknown };
const charge = effect(options);
const body = (order: string) => charge(order, key === undefined ? {} : { key });

const saver = openSaver(place);
const inner = () => graphOf(undefined, ({ order }) => body(order));

function build() {
  switch (where) {
    case "node":
      return graphOf(saver, ({ order }) => body(order));
    case "subgraph": {
      const subgraph = inner();
      return graphOf(saver, async (state) => (await subgraph.invoke(state)).log[0]);
    }
    case "unsaved subgraph": {
      const subgraph = inner();
      subgraph.checkpointer = false;
      return graphOf(saver, async (state) => (await subgraph.invoke(state)).log[0]);
    }
    case "entrypoint":
      return entrypoint(
        { name: "flow", checkpointer: saver },
        async ({ order }: { order: string }) => ({
          log: [await body(order)],
        }),
      );
    case "task": {
      const step = task("step", body);
      return entrypoint(
        { name: "flow", checkpointer: saver },
        async ({ order }: { order: string }) => ({
          log: [await step(order)],
        }),
      );
    }
  }
}

const graph = build() as ReturnType<typeof graphOf>;
const config = { configurable: { thread_id: threadId }, durability };
const known = await saver.getTuple(config);
const input = resume === undefined ? null : new Command({ resume });
try {
  const result = await graph.invoke(known === undefined ? { order: "o" } : input, config);
  say("result", { result });
} catch (error) {
  say("failed", { error: describeError(error) });
}
await saver.end();
process.disconnect();
