/** The line of ancestors that tells which run a checkpoint is in. */

import type { RunRows } from "../steps/runs-rows.ts";
import { cellOf, type Connection } from "./connection.ts";

export function runRows(connection: Connection): RunRows {
  return {
    async line(thread, checkpoint, limit) {
      const checkpoints = connection.name("checkpoints");
      // Row by row by the key, whatever the planner thinks of the table's size.
      const row = (id: string): string =>
        `SELECT thread_id, checkpoint_id, parent_id, created_at, header, header_bytes
         FROM ${checkpoints}
         WHERE thread_id = t.id AND checkpoint_ns = ''::bytea AND checkpoint_id = ${id} OFFSET 0`;
      const rows = await connection.query(
        `WITH RECURSIVE t AS MATERIALIZED (
           SELECT id FROM ${connection.name("threads")} WHERE key = $1
         ), line AS (
           SELECT 1 AS depth, c.* FROM t CROSS JOIN LATERAL (${row("$2")}) c
           UNION ALL
           SELECT line.depth + 1, c.* FROM line CROSS JOIN t CROSS JOIN LATERAL (${row("line.parent_id")}) c
           WHERE line.depth < $3::integer
         )
         SELECT checkpoint_id, parent_id, created_at, header, header_bytes FROM line ORDER BY depth`,
        [thread, checkpoint, limit],
      );
      return rows.map((found) => ({
        id: found["checkpoint_id"] as Uint8Array,
        parent: found["parent_id"] as Uint8Array | null,
        createdAt: found["created_at"] as number,
        header: cellOf(found["header"], found["header_bytes"]),
      }));
    },
  };
}
