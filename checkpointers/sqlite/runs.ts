/** The line of ancestors that tells which run a checkpoint is in. */

import type { LineRow, RunRows } from "../steps/runs-rows.ts";
import type { Connection } from "./connection.ts";

export function runRows(connection: Connection): RunRows {
  return {
    line: (thread, checkpoint, limit) =>
      connection.read(
        () =>
          connection
            .sql(
              `WITH RECURSIVE
               target (thread, ns, most) AS (SELECT id, ?, ? FROM holdfast_threads WHERE key = ?),
               line (depth, id, parent, created_at, header) AS (
                 SELECT 1, c.checkpoint_id, c.parent_id, c.created_at, c.header
                 FROM target t JOIN holdfast_checkpoints c
                   ON c.thread_id = t.thread AND c.checkpoint_ns = t.ns AND c.checkpoint_id = ?
                 UNION ALL
                 SELECT depth + 1, c.checkpoint_id, c.parent_id, c.created_at, c.header
                 FROM line JOIN target t JOIN holdfast_checkpoints c
                   ON c.thread_id = t.thread AND c.checkpoint_ns = t.ns AND c.checkpoint_id = line.parent
                 WHERE depth < t.most
               )
               SELECT id, parent, created_at AS createdAt, header FROM line ORDER BY depth`,
            )
            .all(new Uint8Array(0), limit, thread, checkpoint) as LineRow[],
      ),
  };
}
