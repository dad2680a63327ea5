/** The port between approvals and a database: rows in, rows out. */

import type { Cell } from "../encoding/cells.ts";

export interface ApprovalRow {
  /** 32 hex digits. */
  id: string;
  thread: Uint8Array;
  /** Grows with every change. */
  version: number;
  status: string;
  deadlineAt: number | null;
  createdAt: number;
  /** Everything else. */
  data: Cell;
}

export interface ApprovalQuery {
  thread?: Uint8Array | undefined;
  status?: string | undefined;
  /** Ids that begin so. */
  prefix?: string | undefined;
  limit: number;
}

export interface ApprovalRows {
  /** Nothing happens if one with this id is there. */
  insert(row: ApprovalRow): Promise<void>;
  read(id: string): Promise<ApprovalRow | undefined>;
  /** Replaces the row that is at the version before this one's; false if it is at another. */
  replace(row: ApprovalRow): Promise<boolean>;
  /** Oldest first. */
  list(query: ApprovalQuery): Promise<ApprovalRow[]>;
}
