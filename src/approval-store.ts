/**
 * The port: questions to people, kept until they are answered, and their answers, kept for ever.
 *
 * An approval is a document that changes by turns: whoever changes it names the version that they read,
 * so that two answers at the same moment are one after the other. All rules are in
 * `policy/approval.ts`; a store only keeps.
 */

/** What a person may decide. `respond` answers in words where there is nothing to approve. */
export type ApprovalVerb = "approve" | "edit" | "reject" | "respond";

/** Where a question comes from. */
export type ApprovalKind = "approval" | "breakpoint" | "effect";

export interface ApprovalAnswer {
  verb: ApprovalVerb;
  /** Who: a name, an e-mail address, an id of the user's own. */
  by: string | undefined;
  reason: string | undefined;
  /** With "edit" what is approved instead, with "respond" the answer. */
  value?: unknown;
  /** Of the payload that was decided on. */
  payloadHash: string;
  at: number;
}

export type ApprovalStatus =
  "pending" | "approved" | "rejected" | "responded" | "expired" | "closed";

export interface Approval {
  /** 32 hex digits; also the id of LangGraph's interrupt. */
  id: string;
  kind: ApprovalKind;
  threadId: string;
  namespace: string;
  checkpointId: string;
  node: string;
  title: string;
  payload: unknown;
  /** Binds an answer to what it was given for. */
  payloadHash: string;
  /** Of the payload as the node asked; another one than `payloadHash` after an edit. */
  askedHash: string;
  /** What may be answered. */
  verbs: ApprovalVerb[];
  /** Answers to choose from, where the question offers some. */
  choices: string[] | undefined;
  /** How many different people must approve. */
  approvers: number;
  deadlineAt: number | undefined;
  status: ApprovalStatus;
  /** All answers, those to earlier payloads too. */
  answers: ApprovalAnswer[];
  createdAt: number;
  decidedAt: number | undefined;
}

export interface StoredApproval extends Approval {
  version: number;
}

export interface ApprovalStore {
  /** Keeps a new one. @returns it, or the one that has its id already */
  open(approval: Approval): Promise<StoredApproval>;
  read(id: string): Promise<StoredApproval | undefined>;
  /** Replaces it; false, and nothing done, if it is not at that version any more. */
  change(approval: Approval, version: number): Promise<boolean>;
  /** Oldest first. */
  list(options?: {
    threadId?: string;
    status?: ApprovalStatus;
    /** Ids that begin so. */
    prefix?: string;
    limit?: number;
  }): Promise<StoredApproval[]>;
}
