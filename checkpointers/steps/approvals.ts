/** Questions to people over a database's rows: what is in them is sealed, and comes back as it was. */

import type { Approval, ApprovalStore, StoredApproval } from "../../src/approval-store.ts";
import { InvalidInputError } from "../../src/errors.ts";
import { keyOf } from "../../src/ids.ts";
import { parseCell } from "../encoding/cells.ts";
import { Decoder } from "../encoding/decode.ts";
import { encode } from "../encoding/encode.ts";
import type { Node } from "../encoding/tree.ts";
import type { ApprovalRow, ApprovalRows } from "./approval-rows.ts";
import type { StepParts } from "./parts.ts";

const DEFAULT_LIMIT = 1_000;

export class Approvals implements ApprovalStore {
  readonly #parts: StepParts;

  constructor(parts: StepParts) {
    this.#parts = parts;
  }

  async open(approval: Approval): Promise<StoredApproval> {
    checkId(approval.id);
    const rows = await this.#rows();
    await rows.insert(await this.#row(approval, 1));
    const found = await rows.read(approval.id);
    if (found === undefined) {
      throw new InvalidInputError(
        `The thread "${approval.threadId}" was deleted while it asked a question.`,
      );
    }
    return this.#approval(found);
  }

  async read(id: string): Promise<StoredApproval | undefined> {
    const row = await (await this.#rows()).read(id);
    return row === undefined ? undefined : this.#approval(row);
  }

  async change(approval: Approval, version: number): Promise<boolean> {
    return (await this.#rows()).replace(await this.#row(approval, version + 1));
  }

  async list(options: Parameters<ApprovalStore["list"]>[0] = {}): Promise<StoredApproval[]> {
    const { threadId, status, prefix, limit = DEFAULT_LIMIT } = options;
    const thread = threadId === undefined ? undefined : keyOf(threadId);
    const rows = await (await this.#rows()).list({ thread, status, prefix, limit });
    return Promise.all(rows.map((row) => this.#approval(row)));
  }

  async #rows(): Promise<ApprovalRows> {
    await this.#parts.ready();
    return this.#parts.dialect.approvals;
  }

  async #row(approval: Approval, version: number): Promise<ApprovalRow> {
    const { cells, types } = this.#parts;
    const tree = encode(approval, undefined, { channel: "approval", payloads: undefined, types });
    return {
      id: approval.id,
      thread: keyOf(approval.threadId),
      version,
      status: approval.status,
      deadlineAt: approval.deadlineAt ?? null,
      createdAt: approval.createdAt,
      data: await cells.seal(JSON.stringify(tree)),
    };
  }

  async #approval(row: ApprovalRow): Promise<StoredApproval> {
    const { cells, types } = this.#parts;
    const tree = parseCell(await cells.open(row.data), "approval") as Node;
    return { ...(new Decoder(types).decode(tree) as Approval), version: row.version };
  }
}

function checkId(id: string): void {
  if (!/^[0-9a-f]{32}$/.test(id)) {
    throw new InvalidInputError(`The id of an approval is 32 hex digits, not "${id}".`);
  }
}
