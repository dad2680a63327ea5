/** Static breakpoints in the inbox: with an id, approved, edited or rejected like any other question. */

import type { Approval, ApprovalStore } from "../approval-store.ts";
import { canonicalHash } from "../canonical.ts";
import type { StepStore } from "../step-store.ts";
import { events } from "../events.ts";
import type { Gate } from "./gate.ts";

/** The question that a gate is. @param values the state that the person decides on */
async function questionOf(
  steps: Pick<StepStore, "now">,
  threadId: string,
  gate: Gate,
  values: unknown,
): Promise<Approval> {
  const payloadHash = canonicalHash([gate, values]);
  return {
    id: gateId(threadId, gate),
    kind: "breakpoint",
    threadId,
    namespace: gate.namespace,
    checkpointId: gate.checkpointId,
    node: gate.nodes.join(", "),
    title: `Go on ${gate.when} ${gate.nodes.join(", ")}?`,
    payload: values,
    payloadHash,
    askedHash: payloadHash,
    verbs: ["approve", "edit", "reject"],
    choices: undefined,
    approvers: 1,
    deadlineAt: undefined,
    status: "pending",
    answers: [],
    createdAt: await steps.now(),
    decidedAt: undefined,
  };
}

function gateId(threadId: string, { when, namespace, checkpointId }: Gate): string {
  return canonicalHash(["breakpoint", threadId, when, namespace, checkpointId], 32);
}

/** What people have said of these gates so far; a gate nobody was asked about is asked. */
export async function askAtGates(
  steps: Pick<StepStore, "now">,
  approvals: ApprovalStore,
  threadId: string,
  gates: readonly Gate[],
  values: unknown,
): Promise<Map<Gate, Approval>> {
  const asked = new Map<Gate, Approval>();
  for (const gate of gates) {
    const known = await approvals.read(gateId(threadId, gate));
    if (known !== undefined) {
      asked.set(gate, known);
      continue;
    }
    const question = await approvals.open(await questionOf(steps, threadId, gate, values));
    asked.set(gate, question);
    events.emit("approval.requested", {
      threadId,
      node: question.node,
      approvalId: question.id,
      title: question.title,
    });
  }
  return asked;
}

/** Notes that gates were passed by a word on the spot (`approve: true`), so that the inbox forgets them. */
export async function closeGates(
  steps: Pick<StepStore, "now">,
  approvals: ApprovalStore,
  threadId: string,
  gates: readonly Gate[],
): Promise<void> {
  for (const gate of gates) {
    const known = await approvals.read(gateId(threadId, gate));
    if (known?.status !== "pending") continue;
    const at = await steps.now();
    const answer = {
      verb: "approve" as const,
      by: undefined,
      reason: undefined,
      payloadHash: known.payloadHash,
      at,
    };
    await approvals.change(
      { ...known, status: "approved", answers: [...known.answers, answer], decidedAt: at },
      known.version,
    );
  }
}
