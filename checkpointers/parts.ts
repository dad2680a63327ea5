/** What the parts of a saver share. */

import type { Clock } from "../src/clock.ts";
import type { Dialect, UNLEASED } from "./dialect.ts";
import type { Cells } from "./encoding/cells.ts";
import type { StoredType } from "./encoding/types.ts";
import type { ThreadStates } from "./thread-state.ts";

export interface SaverParts {
  readonly dialect: Dialect;
  readonly cells: Cells;
  readonly types: readonly StoredType[];
  readonly states: ThreadStates;
  readonly clock: Clock;
  /** Of writers without a lease: undefined, or what lets them write all the same. */
  readonly unleased: typeof UNLEASED | undefined;
}
