import { Annotation, Command, END, START, StateGraph } from "@langchain/langgraph";
import { describe, expect, it } from "vitest";
import type { HoldfastSaver } from "../../checkpointers/saver.ts";
import { MemorySaver } from "@langchain/langgraph";
import { isHoldfastError } from "../../src/errors.ts";
import { approval, type ApprovalRequest, type Decided } from "../../src/steps/approval.ts";
import { approvals } from "../../src/steps/inbox.ts";
import { ManualClock } from "../../src/testing/manual-clock.ts";
import { PLACES } from "../support/places.ts";

const State = Annotation.Root({
  amount: Annotation<number>(),
  decided: Annotation<Decided[]>({ reducer: (a, b) => [...a, ...b], default: () => [] }),
});
type Asked = ApprovalRequest<{ amount: number }>;

/** One node for each question; the requests may change from one run to the next. */
function asking(saver: HoldfastSaver, requests: () => Record<string, Asked>) {
  const builder = new StateGraph(State);
  for (const name of Object.keys(requests())) {
    builder.addNode(name, async () => {
      const request = requests()[name] as Asked;
      return { decided: [await approval(request)] };
    });
    builder.addEdge(START, name as typeof START);
    builder.addEdge(name as typeof START, END);
  }
  return builder.compile({ checkpointer: saver });
}

const thread = (id: string) => ({ configurable: { thread_id: id }, durability: "sync" as const });
const pay: Asked = { title: "Pay?", payload: { amount: 7 } };

describe.each(PLACES)("an approval on %s", (_, newPlace) => {
  it("stops the node until it is approved by its id, in whatever process", async () => {
    const place = await newPlace();
    const graph = asking(place.open(), () => ({ ask: pay }));
    const result = await graph.invoke({ amount: 7 }, thread("t"));
    const [open] = await approvals(place.open()).list();
    expect(open).toMatchObject({ title: "Pay?", payload: { amount: 7 }, node: "ask" });
    expect(result).toMatchObject({
      __interrupt__: [{ id: open?.id, value: { kind: "approval", title: "Pay?" } }],
    });
    // Asked again, and again it is the same question.
    await graph.invoke(null, thread("t"));
    expect(await approvals(place.open()).list()).toHaveLength(1);

    await approvals(place.open()).approve(open?.id.slice(0, 8) ?? "", { by: "ada", reason: "ok" });
    const again = asking(place.open(), () => ({ ask: pay }));
    const done = await again.invoke(null, thread("t"));
    expect(done.decided).toEqual([
      {
        decision: "approved",
        payload: { amount: 7 },
        response: undefined,
        by: ["ada"],
        reason: "ok",
      },
    ]);
    expect(await approvals(place.open()).list()).toEqual([]);
    expect(await approvals(place.open()).list({ status: "all" })).toHaveLength(1);
  });

  it("takes no scalar answer, and none that was for another", async () => {
    const place = await newPlace();
    const saver = place.open();
    const two = { a: pay, b: { ...pay, title: "Ship?" } };
    const graph = asking(saver, () => two);
    await graph.invoke({ amount: 7 }, thread("t"));
    await graph.invoke(new Command({ resume: "yes" }), thread("t"));
    await graph.invoke(new Command({ resume: { type: "approve" } }), thread("t"));
    const open = await approvals(saver).list();
    expect(open.map(({ title }) => title).toSorted()).toEqual(["Pay?", "Ship?"]);

    const ship = open.find(({ title }) => title === "Ship?");
    const resume = { [ship?.id ?? ""]: [{ type: "accept", args: null }] };
    await graph.invoke(new Command({ resume }), thread("t"));
    expect((await approvals(saver).list()).map(({ title }) => title)).toEqual(["Pay?"]);
    expect((await approvals(saver).read(ship?.id ?? "")).status).toBe("approved");
  });

  it("asks all that a node asks at once", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = new StateGraph(State)
      .addNode("ask", async () => ({
        decided: await Promise.all(
          [1, 2, 3].map((amount) => approval({ title: "Pay?", payload: { amount } })),
        ),
      }))
      .addEdge(START, "ask")
      .addEdge("ask", END)
      .compile({ checkpointer: saver });
    await graph.invoke({ amount: 1 }, thread("t"));
    const open = await approvals(saver).list();
    expect(open.map(({ payload }) => payload)).toHaveLength(3);
    for (const { id } of open) await approvals(saver).approve(id);
    const done = await graph.invoke(null, thread("t"));
    expect(done.decided.map(({ payload }) => payload)).toEqual(
      [1, 2, 3].map((amount) => ({ amount })),
    );
  });

  it.each([
    ["edit", [{ type: "edit", args: { action: "Pay?", args: { amount: 5 } } }]],
    [
      "edit",
      { decisions: [{ type: "edit", editedAction: { name: "Pay?", args: { amount: 5 } } }] },
    ],
    [
      "edit",
      { decisions: [{ type: "edit", edited_action: { name: "Pay?", args: { amount: 5 } } }] },
    ],
  ])("understands an %s as inboxes give it (%#)", async (_verb, response) => {
    const place = await newPlace();
    const saver = place.open();
    const graph = asking(saver, () => ({ ask: pay }));
    await graph.invoke({ amount: 7 }, thread("t"));
    const [open] = await approvals(saver).list();
    const done = await graph.invoke(
      new Command({ resume: { [open?.id ?? ""]: response } }),
      thread("t"),
    );
    expect(done.decided).toMatchObject([{ decision: "approved", payload: { amount: 5 } }]);
  });

  it("that is refused fails the node, or tells it", async () => {
    const place = await newPlace();
    const saver = place.open();
    const strict = asking(saver, () => ({ ask: pay }));
    await strict.invoke({ amount: 7 }, thread("strict"));
    const [one] = await approvals(saver).list();
    await approvals(saver).reject(one?.id ?? "", { by: "ada", reason: "too much" });
    const error = await strict.invoke(null, thread("strict")).catch((thrown: unknown) => thrown);
    expect(isHoldfastError(error, "REJECTED")).toBe(true);
    expect(error).toMatchObject({ message: '"Pay?" was rejected by ada: too much' });

    const lenient = asking(saver, () => ({ ask: { ...pay, onReject: "return" } }));
    await lenient.invoke({ amount: 7 }, thread("lenient"));
    const [two] = await approvals(saver).list();
    await approvals(saver).reject(two?.id ?? "");
    expect((await lenient.invoke(null, thread("lenient"))).decided).toMatchObject([
      { decision: "rejected" },
    ]);
  });

  it("needs as many different people as it says", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = asking(saver, () => ({ ask: { ...pay, approvers: 2 } }));
    await graph.invoke({ amount: 7 }, thread("t"));
    const [open] = await approvals(saver).list();
    const id = open?.id ?? "";
    const inbox = approvals(saver);
    await expect(inbox.approve(id)).rejects.toThrow(/say who answers/);
    await inbox.approve(id, { by: "ada" });
    await expect(inbox.approve(id, { by: "ada" })).rejects.toThrow(/2 different people/);
    expect((await graph.invoke(null, thread("t"))).decided).toEqual([]);
    // An edit is approved by who made it, and by nobody else yet.
    expect(await inbox.edit(id, { amount: 6 }, { by: "bob" })).toMatchObject({ status: "pending" });
    await inbox.approve(id, { by: "ada" });
    const done = await graph.invoke(null, thread("t"));
    expect(done.decided).toMatchObject([{ payload: { amount: 6 }, by: ["bob", "ada"] }]);
    await expect(inbox.approve(id, { by: "eve" })).rejects.toThrow(/is approved already/);
  });

  it("is bound to its payload", async () => {
    const place = await newPlace();
    const saver = place.open();
    let amount = 7;
    const graph = asking(saver, () => ({ ask: { title: "Pay?", payload: { amount } } }));
    await graph.invoke({ amount: 7 }, thread("t"));
    const [before] = await approvals(saver).list();
    await approvals(saver).approve(before?.id ?? "", { by: "ada" });
    amount = 7_000;
    const result = await graph.invoke(null, thread("t"));
    expect(result.decided).toEqual([]);
    const [after] = await approvals(saver).list();
    expect(after).toMatchObject({ id: before?.id, status: "pending", payload: { amount: 7_000 } });
    const stale = approvals(saver).approve(after?.id ?? "", {
      payloadHash: before?.payloadHash ?? "",
    });
    await expect(stale).rejects.toThrow(/has changed since/);
    await approvals(saver).approve(after?.id ?? "");
    expect((await graph.invoke(null, thread("t"))).decided).toMatchObject([
      { payload: { amount: 7_000 } },
    ]);
  });

  it("expires at its deadline, with the answer that its author chose", async () => {
    const place = await newPlace();
    const clock = new ManualClock();
    const saver = place.open({ clock });
    for (const onTimeout of ["reject", "approve"] as const) {
      const ask: Asked = { ...pay, deadline: 60_000, onTimeout, onReject: "return" };
      const graph = asking(saver, () => ({ ask }));
      await graph.invoke({ amount: 7 }, thread(onTimeout));
      await clock.advance(59_999);
      expect((await graph.invoke(null, thread(onTimeout))).decided).toEqual([]);
      await clock.advance(1);
      const done = await graph.invoke(null, thread(onTimeout));
      expect(done.decided).toMatchObject([
        { decision: onTimeout === "reject" ? "expired" : "approved", by: [] },
      ]);
    }
  });

  it("with an id of its author's is asked once for the thread", async () => {
    const place = await newPlace();
    const saver = place.open();
    const ask = { ...pay, id: "order-42" };
    const graph = asking(saver, () => ({ a: ask, b: ask }));
    await graph.invoke({ amount: 7 }, thread("t"));
    const [open, ...others] = await approvals(saver).list();
    expect(others).toEqual([]);
    await approvals(saver).approve(open?.id ?? "");
    expect((await graph.invoke(null, thread("t"))).decided).toHaveLength(2);
  });

  it("offers choices", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = asking(saver, () => ({ ask: { ...pay, choices: ["card", "cash"] } }));
    await graph.invoke({ amount: 7 }, thread("t"));
    const [open] = await approvals(saver).list();
    const id = open?.id ?? "";
    await expect(approvals(saver).approve(id)).rejects.toThrow(/it takes respond, reject/);
    await expect(approvals(saver).respond(id, "gold")).rejects.toThrow(/one of: card, cash/);
    await approvals(saver).respond(id, "cash");
    expect((await graph.invoke(null, thread("t"))).decided).toMatchObject([
      { decision: "responded", response: "cash" },
    ]);
  });

  it("takes one of two answers that come at the same moment", async () => {
    const place = await newPlace();
    const saver = place.open();
    const graph = asking(saver, () => ({ ask: pay }));
    await graph.invoke({ amount: 7 }, thread("t"));
    const [open] = await approvals(saver).list();
    const id = open?.id ?? "";
    const other = place.open();
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (__, i) =>
        i % 2 === 0 ? approvals(saver).approve(id) : approvals(other).reject(id),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect((await approvals(saver).read(id)).answers).toHaveLength(1);
  });

  it("goes with its thread", async () => {
    const place = await newPlace();
    const saver = place.open();
    await asking(saver, () => ({ ask: pay })).invoke({ amount: 7 }, thread("t"));
    await saver.copyThread("t", "copy");
    expect(await approvals(saver).list({ threadId: "copy" })).toEqual([]);
    await saver.deleteThread("t");
    expect(await approvals(saver).list({ status: "all" })).toEqual([]);
  });
});

it("is refused outside of a node, and with another saver", async () => {
  await expect(approval(pay)).rejects.toThrow(/within a node/);
  const graph = asking(new MemorySaver() as unknown as HoldfastSaver, () => ({ ask: pay }));
  await expect(graph.invoke({ amount: 7 }, thread("t"))).rejects.toThrow(/holdfast saver/);
  expect(() => approvals(new MemorySaver())).toThrow(/needs a holdfast saver/);
});
