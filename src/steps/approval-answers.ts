/**
 * Answers as inboxes give them, understood: those of LangChain's human-in-the-loop middleware
 * (`{ decisions: [{ type: "approve" | "edit" | "reject" }] }`, in both casings) and those of the older
 * agent inbox (`[{ type: "accept" | "ignore" | "edit" | "response", args }]`).
 */

import type { Approval, ApprovalAnswer, ApprovalVerb } from "../approval-store.ts";
import { InvalidInputError } from "../errors.ts";

const VERBS: Readonly<Record<string, ApprovalVerb>> = {
  approve: "approve",
  approved: "approve",
  accept: "approve",
  edit: "edit",
  reject: "reject",
  rejected: "reject",
  ignore: "reject",
  respond: "respond",
  response: "respond",
};

type Fields = Record<string, unknown>;

/** The question as a LangGraph interrupt's value, in the words of both conventions. */
export function interruptValueOf(approval: Approval): Fields {
  const { id, title, payload, payloadHash, verbs, choices, approvers, deadlineAt } = approval;
  const request = { name: title, args: payload };
  return {
    kind: "approval",
    id,
    title,
    payload,
    payloadHash,
    approvers,
    ...(choices === undefined ? {} : { choices }),
    ...(deadlineAt === undefined ? {} : { deadlineAt }),
    action_requests: [request],
    review_configs: [{ action_name: title, allowed_decisions: verbs }],
    actionRequests: [request],
    reviewConfigs: [{ actionName: title, allowedDecisions: verbs }],
  };
}

/**
 * What an inbox sent for an approval.
 * @throws {InvalidInputError} it cannot be understood as an answer
 */
export function answerOf(response: unknown, approval: Approval, at: number): ApprovalAnswer {
  const decision = fieldsOf(firstOf(response));
  const type = decision?.["type"] ?? decision?.["decision"];
  const verb = typeof type === "string" ? VERBS[type] : undefined;
  if (decision === undefined || verb === undefined) {
    throw new InvalidInputError(
      `Approval ${approval.id} ("${approval.title}") cannot make sense of the answer ` +
        `${JSON.stringify(response)}. It takes { type: "approve" | "edit" | "reject" | "respond" }.`,
    );
  }
  return {
    verb,
    by: textIn(decision, "by"),
    reason:
      textIn(decision, "reason") ?? (verb === "reject" ? textIn(decision, "message") : undefined),
    value: valueOf(decision, verb),
    payloadHash: textIn(decision, "payloadHash") ?? approval.payloadHash,
    at,
  };
}

/** The first of several decisions: one question has one. */
function firstOf(response: unknown): unknown {
  const decisions = fieldsOf(response)?.["decisions"] ?? response;
  return Array.isArray(decisions) ? (decisions[0] as unknown) : decisions;
}

function valueOf(decision: Fields, verb: ApprovalVerb): unknown {
  if (verb === "respond") return decision["value"] ?? decision["args"] ?? decision["message"];
  if (verb !== "edit") return undefined;
  const edited = fieldsOf(decision["editedAction"] ?? decision["edited_action"]);
  if (edited !== undefined) return edited["args"];
  if ("value" in decision) return decision["value"];
  // The older inbox: `args` is an action request whose `args` are the edited ones.
  return fieldsOf(decision["args"])?.["args"] ?? decision["args"];
}

function fieldsOf(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null ? (value as Fields) : undefined;
}

function textIn(fields: Fields, key: string): string | undefined {
  const value = fields[key];
  return typeof value === "string" ? value : undefined;
}
