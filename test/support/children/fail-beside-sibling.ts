/**
 * Runs a graph whose database fails while one task has written and its sibling is still running. An
 * unhandled rejection would end this process. Args: SQLite file.
 */

import { Annotation, START, StateGraph } from "@langchain/langgraph";
import { SqliteSaver } from "../../../checkpointers/sqlite/index.ts";
import { describeError, say } from "../child-side.ts";
import { faultySqlite, sqliteError } from "../faulty-sqlite.ts";

const db = faultySqlite(process.argv[2] as string);
const saver = new SqliteSaver(db);
let hasFailed: () => void;
const failure = new Promise<void>((resolve) => (hasFailed = resolve));
const State = Annotation.Root({ text: Annotation<string[]>({ reducer: (a, b) => [...a, ...b] }) });
const graph = new StateGraph(State)
  .addNode("fast", () => {
    db.onCommit = () => {
      hasFailed();
      throw sqliteError(10, "disk I/O error");
    };
    return { text: ["fast"] };
  })
  .addNode("slow", async () => {
    await failure;
    // Long enough for Node to report a rejection that nobody handles.
    for (let turn = 0; turn < 20; turn += 1)
      await new Promise((resolve) => void setImmediate(resolve));
    return { text: ["slow"] };
  })
  .addNode("after", () => {
    say("after");
    return {};
  })
  .addEdge(START, "fast")
  .addEdge(START, "slow")
  .addEdge(["fast", "slow"], "after")
  .compile({ checkpointer: saver });
await graph.invoke({ text: [] }, { configurable: { thread_id: "t" }, durability: "sync" }).then(
  () => say("finished"),
  (error: unknown) => say("failed", { error: describeError(error) }),
);
for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => void setImmediate(resolve));
process.disconnect();
