/**
 * One effect of each kind that needs no receiver with a memory for keys, in a graph driven to its end.
 * Prints the outcome, and what the transaction left. Args: place. Env: WORLD_URL.
 *
 * With BROKEN_PROTOCOL the ledger forgets its claims, as one without that step would.
 */

import process from "node:process";
import { DatabaseSync } from "node:sqlite";
import { Annotation, END, START, StateGraph } from "@langchain/langgraph";
import { durable, effect, transaction, type SqliteHandle } from "holdfast";
import pg from "pg";
import { ask, find } from "../../../graphs/environment/world.ts";
import { openSaver } from "../open-saver.ts";
import { forgetClaims } from "./broken-ledger.ts";
import { byInvoking } from "./drive.ts";

const [place = ""] = process.argv.slice(2);
const saver = openSaver(place);
if (process.env["BROKEN_PROTOCOL"] !== undefined) forgetClaims(saver);

/** What the world tells, asked by what the effect is about, since it knows no keys. */
async function lookUp(what: string, order: string) {
  const [result] = await find<{ order: string }>(
    what,
    { order },
    { signal: AbortSignal.timeout(10_000) },
  );
  return result === undefined ? { done: false as const } : { done: true as const, result };
}

const reconciled = effect({
  name: "kinds.reconciled",
  run: (charge: { order: string }, context) => ask("charge", charge, context),
  reconcile: ({ order }) => lookUp("charge", order),
});

const asked = effect({
  name: "kinds.asked",
  run: (mail: { order: string }, context) => ask("email", mail, context),
  onUnknown: "ask",
});

const INSERT = "INSERT INTO payments (amount) VALUES";
const booked = isSqlite(place)
  ? transaction({
      name: "kinds.booked",
      run: (db: SqliteHandle, amount: number) =>
        Number(db.prepare(`${INSERT} (?)`).run(amount).changes),
    })
  : transaction({
      name: "kinds.booked",
      run: async (client: pg.PoolClient, amount: number) =>
        (await client.query(`${INSERT} ($1)`, [amount])).rowCount ?? 0,
    });

const State = Annotation.Root({
  booked: Annotation<number>,
  charge: Annotation<string>,
  email: Annotation<string>,
  charges: Annotation<string[]>,
});

const graph = new StateGraph(State)
  .addNode("reconcile", async () => ({
    charge: (await reconciled({ order: "one" }, { key: "one" })).id,
  }))
  .addNode(
    "ask",
    durable(async () => ({ email: (await asked({ order: "two" })).id })),
  )
  .addNode(
    "together",
    durable(async () => {
      const orders = ["three", "four", "five"];
      const made = await Promise.all(orders.map((order) => reconciled({ order })));
      return { charges: made.map(({ order }) => order) };
    }),
  )
  .addNode("book", async () => ({ booked: await booked(42, { key: "one" }) }))
  .addEdge(START, "book")
  .addEdge("book", "reconcile")
  .addEdge("reconcile", "ask")
  .addEdge("ask", "together")
  .addEdge("together", END)
  .compile({ checkpointer: saver });

/** What a person does who is asked what became of the e-mail: looks. */
async function person(): Promise<unknown> {
  const found = await lookUp("email", "two");
  return found.done ? { outcome: "done", result: found.result } : { outcome: "not-done" };
}

await sql("CREATE TABLE IF NOT EXISTS payments (amount INTEGER)");
const outcome = await byInvoking(graph, saver, "kinds", { charges: [] }, person);
const payments = await sql("SELECT amount FROM payments");
process.stdout.write(JSON.stringify({ ...outcome, payments }));
await saver.end();

function isSqlite(where: string): boolean {
  return where.startsWith("sqlite:");
}

/** By a connection of the program's own. */
async function sql(text: string): Promise<unknown[]> {
  if (isSqlite(place)) {
    const db = new DatabaseSync(place.slice("sqlite:".length), { timeout: 5_000 });
    const rows = db.prepare(text).all();
    db.close();
    return rows;
  }
  const client = new pg.Client(place);
  await client.connect();
  const { rows } = await client.query<object>(text);
  await client.end();
  return rows;
}
