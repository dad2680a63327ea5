/** The inbox: what people are asked, over all threads of a saver, and their answers, by id. */

import type {
  Approval,
  ApprovalAnswer,
  ApprovalStatus,
  ApprovalStore,
  ApprovalVerb,
  StoredApproval,
} from "../approval-store.ts";
import { InvalidInputError, NotDurableError, NotFoundError } from "../errors.ts";
import { events } from "../events.ts";
import { isDurableSaver, type StepStore } from "../step-store.ts";
import { expectAnswer, wake } from "../turns.ts";
import { withAnswer } from "./approval-rules.ts";

export interface AnswerOptions {
  /** Who answers: a name, an address, an id of your own. */
  by?: string;
  /** Why. */
  reason?: string;
  /** The hash that was shown: refuses the answer if the payload has changed since. */
  payloadHash?: string;
}

export interface ListApprovalsOptions {
  threadId?: string;
  /** Default "pending"; "all" for those that were answered, too. */
  status?: ApprovalStatus | "all";
  /** At most this many; default 100. */
  limit?: number;
}

export interface Inbox {
  /** Oldest first. */
  list(options?: ListApprovalsOptions): Promise<Approval[]>;
  /** By its id, or an unambiguous beginning of it. @throws {NotFoundError} */
  read(id: string): Promise<Approval>;
  approve(id: string, options?: AnswerOptions): Promise<Approval>;
  reject(id: string, options?: AnswerOptions): Promise<Approval>;
  /** Approves something else instead. */
  edit(id: string, payload: unknown, options?: AnswerOptions): Promise<Approval>;
  /** Answers in words, or with one of the choices. */
  respond(id: string, response: unknown, options?: AnswerOptions): Promise<Approval>;
}

/**
 * The questions that wait for people, and the way to answer them. The run goes on when it is resumed:
 * `graph.invoke(null, config)`, `runToEnd`, or `holdfast resume`; one that a runtime accepted, by its
 * workers.
 *
 * @param saver a holdfast saver
 * @throws {NotDurableError} the saver keeps no questions
 */
export function approvals(saver: unknown): Inbox {
  const steps = isDurableSaver(saver) ? saver.steps : undefined;
  const store = steps?.approvals;
  if (steps === undefined || store === undefined) {
    throw new NotDurableError(
      "approvals() needs a holdfast saver (SqliteSaver or PostgresSaver): others keep no questions.",
    );
  }
  const answer = (
    id: string,
    verb: ApprovalVerb,
    options: AnswerOptions,
    value?: unknown,
  ): Promise<Approval> => give(steps, store, id, { verb, value, options });
  return {
    list: ({ status = "pending", threadId, limit = 100 } = {}) =>
      store.list({
        limit,
        ...(threadId === undefined ? {} : { threadId }),
        ...(status === "all" ? {} : { status }),
      }),
    read: (id) => find(store, id),
    approve: (id, options = {}) => answer(id, "approve", options),
    reject: (id, options = {}) => answer(id, "reject", options),
    edit: (id, payload, options = {}) => answer(id, "edit", options, payload),
    respond: (id, response, options = {}) => answer(id, "respond", options, response),
  };
}

async function find(store: ApprovalStore, id: string): Promise<StoredApproval> {
  if (!/^[0-9a-f]{1,32}$/.test(id)) {
    throw new InvalidInputError(`The id of an approval is up to 32 hex digits, not "${id}".`);
  }
  const [found, other] = await store.list({ prefix: id, limit: 2 });
  if (found === undefined) throw new NotFoundError(`There is no approval "${id}".`);
  if (other !== undefined) {
    throw new InvalidInputError(`Several approvals begin with "${id}": give more of the id.`);
  }
  return found;
}

/** How long a run waits in vain whose answer was stored by a process that died then, in milliseconds. */
const GRACE = 5_000;

/** Two answers at the same moment are one after the other. */
async function give(
  steps: StepStore,
  store: ApprovalStore,
  id: string,
  given: { verb: ApprovalVerb; value: unknown; options: AnswerOptions },
): Promise<Approval> {
  for (;;) {
    const found = await find(store, id);
    const { by, reason, payloadHash = found.payloadHash } = given.options;
    const answer: ApprovalAnswer = {
      verb: given.verb,
      by,
      reason,
      value: given.value,
      payloadHash,
      at: await steps.now(),
    };
    const next = withAnswer(found, answer);
    await steps.queue?.turn(next.threadId, (turn) => expectAnswer(turn, GRACE));
    if (!(await store.change(next, found.version))) continue;
    events.emit("approval.answered", {
      threadId: next.threadId,
      node: next.node,
      approvalId: next.id,
      decision: given.verb,
      by,
    });
    // A run that a runtime accepted goes on by itself.
    await steps.queue?.turn(next.threadId, wake);
    return next;
  }
}
