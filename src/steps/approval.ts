/**
 * `approval()`: a question to a person, in the middle of a node.
 *
 * The question is a row, which is the truth, and an interrupt of LangGraph's, which stops the node. The
 * answer goes to the row by the question's id, from any process (`approvals(saver)`, the command
 * line, or an inbox's `Command({ resume: { [id]: answer } })`); a scalar answer is nobody's. When the
 * node runs again it finds its row decided, and goes on.
 *
 * Invariants
 *   Q1  Only an answer lets a node pass, and only one that was given for this very payload.
 *   Q2  An answer is stored before anything acts on it.
 *   Q3  All questions that a node asks at once are open before it stops.
 */

import { GraphInterrupt } from "@langchain/langgraph";
import type { Approval, ApprovalStore, ApprovalVerb, StoredApproval } from "../approval-store.ts";
import { canonicalHash } from "../canonical.ts";
import { currentAttempt, currentNode, originOf, type NodeContext } from "../context.ts";
import { InvalidInputError, NotDurableError, RejectedError, markExhausted } from "../errors.ts";
import { events } from "../events.ts";
import { answerOf, interruptValueOf } from "./approval-answers.ts";
import { answersOf } from "./left-behind.ts";
import { askedAnew, decisionOf, isOverdue, withAnswer } from "./approval-rules.ts";

export interface ApprovalRequest<Payload = unknown> {
  /** Names the question for the whole thread: it is asked once, across nodes and forks. Default: once per task. */
  id?: string;
  /** What is asked, in a few words. */
  title: string;
  /** What is decided on: shown to the person, and bound to the answer. */
  payload: Payload;
  /** What may be answered. Default: approve, edit and reject; with `choices`, respond and reject. */
  allow?: readonly ApprovalVerb[];
  /** Answers to choose from. */
  choices?: readonly string[];
  /** How long an answer is waited for, in milliseconds, or until when. */
  deadline?: number | Date;
  /** What becomes of it after the deadline. Default "reject". */
  onTimeout?: "reject" | "approve";
  /** How many different people must approve. Default 1. */
  approvers?: number;
  /** "throw" (default) fails the node with a {@link RejectedError}; "return" hands the answer to it. */
  onReject?: "throw" | "return";
}

/** What people decided. */
export interface Decided<Payload = unknown> {
  decision: "approved" | "rejected" | "responded" | "expired";
  /** What was approved: as it was asked, or as it was edited. */
  payload: Payload;
  /** The answer in words, or the choice. */
  response: unknown;
  /** Everyone who had a part in it. */
  by: string[];
  reason: string | undefined;
}

/**
 * Asks a person, and waits: the node stops here until the question is answered by its id.
 *
 * Code in front of it runs again when the node goes on; what must not be repeated belongs into an
 * `effect`.
 *
 * @throws {RejectedError} the answer was no, unless `onReject` is "return"
 * @throws {NotDurableError} outside of a node, or without a holdfast saver
 */
export async function approval<Payload>(
  request: ApprovalRequest<Payload>,
): Promise<Decided<Payload>> {
  const node = currentNode();
  const store = node?.durable?.steps.approvals;
  if (node === undefined || store === undefined) {
    throw new NotDurableError(
      "approval() keeps its question in the saver's database: call it within a node of a graph that " +
        "is compiled with a holdfast saver (SqliteSaver or PostgresSaver).",
    );
  }
  const question = questionOf(node, request);
  const found = await tracked(node, async () => ask(store, question(await nowOf(node)), node));
  const decided = await heard(store, found, node, request.onTimeout ?? "reject");
  if (decided.status === "pending") {
    await allAsked(node);
    stop(decided);
  }
  return outcomeOf(decided, request);
}

// A durable node whose question is as open as it was need not run to ask it again.
answersOf("approval", async ({ id = "" }, node) => {
  const found = await node.durable?.steps.approvals?.read(id);
  if (found === undefined) return true;
  return found.status !== "pending" || isOverdue(found, await nowOf(node));
});

/** Opens the question, or asks it anew where what is asked has changed since. */
async function ask(
  store: ApprovalStore,
  asked: Approval,
  node: NodeContext,
): Promise<StoredApproval> {
  let found = await store.read(asked.id);
  if (found === undefined) {
    found = await store.open(asked);
    events.emit("approval.requested", {
      ...originOf(node),
      approvalId: found.id,
      title: found.title,
    });
  }
  while (found.askedHash !== asked.askedHash) {
    const renewed = askedAnew(found, asked);
    await store.change(renewed, found.version);
    found = await required(store, asked.id);
  }
  return found;
}

/** Takes in what an inbox has answered by id, and what the clock has. */
async function heard(
  store: ApprovalStore,
  found: StoredApproval,
  node: NodeContext,
  onTimeout: "reject" | "approve",
): Promise<StoredApproval> {
  const answers = node.config.configurable?.["__pregel_resume_map"] as
    Record<string, unknown> | undefined;
  let known = found;
  let response = answers?.[known.id];
  while (known.status === "pending") {
    const now = await nowOf(node);
    let next: Approval;
    if (isOverdue(known, now)) {
      const status = onTimeout === "approve" ? ("approved" as const) : ("expired" as const);
      next = { ...known, status, decidedAt: now };
    } else if (response === undefined) {
      return known;
    } else {
      next = withAnswer(known, answerOf(response, known, now));
    }
    const changed = await store.change(next, known.version);
    known = await required(store, known.id);
    if (!changed) continue;
    // One answer counts once, also where it did not decide.
    response = undefined;
    tell(known, node);
  }
  return known;
}

function tell(approval: Approval, node: NodeContext): void {
  if (approval.status === "expired") {
    events.emit("approval.expired", { ...originOf(node), approvalId: approval.id });
    return;
  }
  const answer = approval.answers.at(-1);
  events.emit("approval.answered", {
    ...originOf(node),
    approvalId: approval.id,
    decision: answer?.verb ?? approval.status,
    by: answer?.by,
  });
}

function outcomeOf<Payload>(
  approval: StoredApproval,
  request: ApprovalRequest<Payload>,
): Decided<Payload> {
  const answer = decisionOf(approval);
  if (
    request.onReject !== "return" &&
    (approval.status === "rejected" ||
      approval.status === "expired" ||
      approval.status === "closed")
  ) {
    const reason = approval.status === "rejected" ? answer?.reason : "nobody answered in time";
    throw markExhausted(new RejectedError(approval.id, approval.title, answer?.by, reason));
  }
  const by = approval.answers
    .filter(({ payloadHash }) => payloadHash === approval.payloadHash)
    .flatMap((given) => (given.by === undefined ? [] : [given.by]));
  return {
    decision: approval.status === "closed" ? "rejected" : (approval.status as "approved"),
    payload: approval.payload as Payload,
    response: answer?.verb === "respond" ? answer.value : undefined,
    by: [...new Set(by)],
    reason: answer?.reason,
  };
}

/** The interrupt; sticky, so that a `catch` in the node's code does not pass the gate. */
function stop(approval: Approval): never {
  const interrupt = new GraphInterrupt([{ id: approval.id, value: interruptValueOf(approval) }]);
  const attempt = currentAttempt();
  if (attempt !== undefined) attempt.parked ??= interrupt;
  throw interrupt;
}

/** What is asked, once the time is known; which of equal questions it is, is settled at once. */
function questionOf(node: NodeContext, request: ApprovalRequest): (now: number) => Approval {
  const { title, payload, choices, approvers = 1 } = request;
  if (typeof title !== "string" || title === "") {
    throw new InvalidInputError("approval() needs a title: what is asked, in a few words.");
  }
  if (!Number.isInteger(approvers) || approvers < 1) {
    throw new InvalidInputError(
      `approval("${title}"): approvers is a number of people, 1 or more, not ${String(approvers)}.`,
    );
  }
  const defaults: ApprovalVerb[] =
    choices === undefined ? ["approve", "edit", "reject"] : ["respond", "reject"];
  const payloadHash = canonicalHash(payload);
  const id = idOf(node, request);
  return (now) => ({
    id,
    kind: "approval",
    threadId: node.task.threadId,
    namespace: node.task.namespace,
    checkpointId: node.task.checkpointId,
    node: node.node,
    title,
    payload,
    payloadHash,
    askedHash: payloadHash,
    verbs: [...(request.allow ?? defaults)],
    choices: choices === undefined ? undefined : [...choices],
    approvers,
    deadlineAt: deadlineOf(request, now),
    status: "pending",
    answers: [],
    createdAt: now,
    decidedAt: undefined,
  });
}

function deadlineOf({ deadline, title }: ApprovalRequest, now: number): number | undefined {
  if (deadline === undefined) return undefined;
  const at = deadline instanceof Date ? deadline.getTime() : now + deadline;
  if (Number.isFinite(at)) return at;
  throw new InvalidInputError(
    `approval("${title}"): the deadline is milliseconds from now, or a Date.`,
  );
}

/** By the name that its author gave it; else the task, the title, and which of equal ones it is. */
function idOf(node: NodeContext, request: ApprovalRequest): string {
  const { threadId, namespace, taskId } = node.task;
  if (request.id !== undefined) return canonicalHash(["approval", threadId, request.id], 32);
  const { occurrences } = questionsOf(node);
  const occurrence = occurrences.get(request.title) ?? 0;
  occurrences.set(request.title, occurrence + 1);
  return canonicalHash(["approval", threadId, namespace, taskId, request.title, occurrence], 32);
}

interface Questions {
  occurrences: Map<string, number>;
  /** Being opened. */
  open: Set<Promise<unknown>>;
}

/** Of one execution of a node. */
const questions = new WeakMap<object, Questions>();

function questionsOf(node: NodeContext): Questions {
  const execution = currentAttempt() ?? node.execution;
  let known = questions.get(execution);
  if (known === undefined)
    questions.set(execution, (known = { occurrences: new Map(), open: new Set() }));
  return known;
}

function tracked<T>(node: NodeContext, work: () => Promise<T>): Promise<T> {
  const { open } = questionsOf(node);
  const promise = work();
  open.add(promise);
  return promise.finally(() => open.delete(promise));
}

/** Invariant Q3: what the node asks in parallel with this one is asked, too. */
async function allAsked(node: NodeContext): Promise<void> {
  const { open } = questionsOf(node);
  // Siblings may begin within the same turn of the event loop.
  await new Promise<void>((resolve) => {
    setImmediate(resolve);
  });
  while (open.size > 0) await Promise.allSettled(open);
}

async function required(store: ApprovalStore, id: string): Promise<StoredApproval> {
  const found = await store.read(id);
  if (found === undefined) {
    throw new InvalidInputError(`Approval ${id} is gone: its thread was deleted.`);
  }
  return found;
}

function nowOf(node: NodeContext): Promise<number> {
  return (node.durable as NonNullable<NodeContext["durable"]>).steps.now();
}
