/** What the parts of a step store share. */

import type { Clock } from "../../src/clock.ts";
import type { Dialect } from "../dialect.ts";
import type { Cells } from "../encoding/cells.ts";
import type { StoredType } from "../encoding/types.ts";
import type { Seen } from "./seen.ts";

export interface StepParts {
  readonly dialect: Dialect;
  readonly cells: Cells;
  readonly types: readonly StoredType[];
  readonly clock: Clock;
  /** What the saver saw of threads as it read and wrote them. */
  readonly seen: Seen;
  /** Settles once the tables are there. */
  readonly ready: () => Promise<void>;
  /**
   * Settles once all that is queued of a thread, and what LangGraph puts right after, is durable, or
   * failed. Under "async" durability a node may begin before the saver has heard of its checkpoint.
   */
  readonly settled: (threadId: string) => Promise<void>;
  /** Tells a user what they should know. */
  readonly onNotice: (message: string) => void;
}
