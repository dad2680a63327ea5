/**
 * When a question is decided: pure rules over an approval and an answer.
 *
 * Invariants
 *   A1  An answer counts only for the payload that it was given for (its hash).
 *   A2  A person counts once, however often they answer.
 *   A3  What is decided stays decided.
 *   A4  An edit is an approval of what it made of the payload; what others said of the former is void.
 */

import type { Approval, ApprovalAnswer } from "../approval-store.ts";
import { canonicalHash } from "../canonical.ts";
import { InvalidInputError } from "../errors.ts";

/** The approval with one more answer. @throws {InvalidInputError} the answer cannot be taken */
export function withAnswer(approval: Approval, answer: ApprovalAnswer): Approval {
  const name = `Approval ${approval.id} ("${approval.title}")`;
  if (approval.status !== "pending") {
    throw new InvalidInputError(`${name} is ${approval.status} already; nothing was changed.`);
  }
  if (!approval.verbs.includes(answer.verb)) {
    throw new InvalidInputError(
      `${name} does not take "${answer.verb}"; it takes ${approval.verbs.join(", ")}.`,
    );
  }
  if (answer.payloadHash !== approval.payloadHash) {
    throw new InvalidInputError(
      `${name} has changed since it was shown: look at what it asks now, and decide on that.`,
    );
  }
  if (approval.approvers > 1 && answer.by === undefined) {
    throw new InvalidInputError(
      `${name} needs ${approval.approvers} different people: say who answers, with \`by\`.`,
    );
  }
  checkChoice(approval, answer, name);
  const answers = [...approval.answers, answer];
  switch (answer.verb) {
    case "reject":
      return { ...approval, answers, status: "rejected", decidedAt: answer.at };
    case "respond":
      return { ...approval, answers, status: "responded", decidedAt: answer.at };
    case "edit": {
      // What is approved is another payload now, which others have to look at.
      const payloadHash = canonicalHash(answer.value);
      return settled({
        ...approval,
        payload: answer.value,
        payloadHash,
        answers: [...approval.answers, { ...answer, payloadHash }],
      });
    }
    case "approve": {
      if (alreadyCounts(approval, answer.by)) {
        throw new InvalidInputError(
          `${name} has been approved by ${answer.by} already; it needs ${approval.approvers} different people.`,
        );
      }
      return settled({ ...approval, answers });
    }
  }
}

/** Approved, if enough people say so. */
function settled(approval: Approval): Approval {
  const { answers, payloadHash, approvers } = approval;
  if (supporters(answers, payloadHash).size < approvers) return approval;
  return { ...approval, status: "approved", decidedAt: answers.at(-1)?.at };
}

/** Asked again with another payload: earlier answers were given for something else (A1). */
export function askedAnew(approval: Approval, asked: Approval): Approval {
  return {
    ...asked,
    createdAt: approval.createdAt,
    answers: approval.answers,
    status: "pending",
    decidedAt: undefined,
  };
}

/** The answer that decided; undefined while nothing is. */
export function decisionOf(approval: Approval): ApprovalAnswer | undefined {
  if (approval.status === "pending" || approval.status === "expired") return undefined;
  return approval.answers.findLast(({ payloadHash }) => payloadHash === approval.payloadHash);
}

/** Past its deadline without a decision. */
export function isOverdue(approval: Approval, now: number): boolean {
  return (
    approval.status === "pending" && approval.deadlineAt !== undefined && now >= approval.deadlineAt
  );
}

function checkChoice({ choices }: Approval, { verb, value }: ApprovalAnswer, name: string): void {
  if (choices === undefined || verb !== "respond") return;
  if (typeof value !== "string" || !choices.includes(value)) {
    throw new InvalidInputError(`${name} takes one of: ${choices.join(", ")}.`);
  }
}

function alreadyCounts(approval: Approval, by: string | undefined): boolean {
  return by !== undefined && supporters(approval.answers, approval.payloadHash).has(by);
}

/** Who approved this payload; somebody unnamed is somebody. */
function supporters(answers: readonly ApprovalAnswer[], payloadHash: string): Set<string> {
  return new Set(
    answers
      .filter(
        (answer) =>
          answer.payloadHash === payloadHash &&
          (answer.verb === "approve" || answer.verb === "edit"),
      )
      .map(({ by }) => by ?? ""),
  );
}
