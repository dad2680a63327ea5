/**
 * What a thread is doing, kept up to date by its durable nodes: rows that travel with commits that
 * happen anyway.
 *
 * A plain `invoke` tells nobody when it ends. One that completed is known by its last checkpoint, to the
 * saver that stores it (`checkpointers/ends-run.ts`). A thread that stopped is what its last durable node
 * said: interrupted, parked or failed, whatever siblings still do beside it; where another node stopped
 * it, it goes on "running" without a heartbeat.
 */

import type { NodeContext } from "../context.ts";
import type { WorkflowState } from "../run-store.ts";
import type { RunAddress, StepStore } from "../step-store.ts";
import { invocationOf, isResuming } from "./invocation.ts";

/** Where the node is, by the names of the nodes above it: `research/plan`. */
export function stepName({ task, node }: NodeContext): string {
  if (task.namespace === "") return node;
  const above = task.namespace.split("|").map((part) => part.split(":", 1)[0]);
  return [...above, node].join("/");
}

/** Whose status it is, and where it is kept. */
interface Place {
  node: NodeContext;
  steps: StepStore;
  deadlineAt?: number | undefined;
}

/** With another saver nobody can look at it but a deadline, which counts waits by it. */
function isOfUse({ node, deadlineAt }: Place): boolean {
  return node.durable !== undefined || deadlineAt !== undefined;
}

export function noteEntry(place: Place, attempt: number, run: RunAddress | undefined): void {
  if (!isOfUse(place)) return;
  const { node, steps } = place;
  const invocation = invocationOf(node);
  const { begun, asked, parked } = invocation;
  invocation.begun = true;
  const status: WorkflowState = asked ? "interrupted" : parked ? "parked" : "running";
  steps.status.note(node.task.threadId, {
    status,
    currentStep: stepName(node),
    attempt,
    errorMessage: undefined,
    ...(!begun &&
      !isResuming(node) && { progressPercent: undefined, progressNote: undefined, waited: 0 }),
    ...(run !== undefined && { runId: run.runId, startedAt: run.startedAt }),
  });
}

/** A node has ended well: a sign of life, from which a deadline counts waits. */
export function noteEnd({ node, steps, deadlineAt }: Place): void {
  if (deadlineAt !== undefined) steps.status.note(node.task.threadId, {});
}

/** A task has stopped, and with it, sooner or later, the invocation. */
export function noteStop({ node, steps }: Place, why: "asked" | "parked"): void {
  const invocation = invocationOf(node);
  invocation[why] = true;
  // Who waits for a person waits for him whatever timers there are beside.
  const status = invocation.asked ? "interrupted" : "parked";
  steps.status.note(node.task.threadId, { status, currentStep: stepName(node) });
}

export function noteFailure({ node, steps }: Place, error: unknown): void {
  const errorMessage = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  steps.status.note(node.task.threadId, {
    status: "failed",
    currentStep: stepName(node),
    errorMessage,
  });
}
