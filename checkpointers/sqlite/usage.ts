/** What was used. */

import type { UsageRows, UsedTotals } from "../steps/usage-rows.ts";
import type { Connection, SqlValue } from "./connection.ts";

const GROUPS = { thread: "u.thread_key", run: "u.run_id", node: "u.node", model: "u.model" };

export function usageRows(connection: Connection): UsageRows {
  return {
    add: (rows) =>
      connection.write(() => {
        const insert = connection.sql(
          `INSERT INTO holdfast_usage (id, thread_key, run_id, node, model, input_tokens, output_tokens,
             usd, estimated, failed, at)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
        );
        for (const row of rows) {
          insert.run(
            row.id,
            row.thread,
            row.runId,
            row.node,
            row.model,
            row.inputTokens,
            row.outputTokens,
            row.usd,
            row.estimated ? 1 : 0,
            row.failed ? 1 : 0,
            row.at,
          );
        }
      }),
    totals: ({ by, thread, runId, since }) => {
      const where: string[] = ["1 = 1"];
      const values: SqlValue[] = [];
      const add = (condition: string, value: SqlValue): void => {
        where.push(condition);
        values.push(value);
      };
      if (thread !== undefined) add("u.thread_key = ?", thread);
      if (runId !== undefined) add("u.run_id = ?", runId);
      if (since !== undefined) add("u.at >= ?", since);
      const group = GROUPS[by];
      return connection.read(
        () =>
          connection
            .sql(
              `SELECT g.*, ${by === "thread" ? "(SELECT name FROM holdfast_threads t WHERE t.key = g.key)" : "NULL"} AS threadName
               FROM (
                 SELECT ${group} AS key, count(*) AS calls, sum(input_tokens) AS inputTokens,
                   sum(output_tokens) AS outputTokens, total(usd) AS usd
                 FROM holdfast_usage u WHERE ${where.join(" AND ")} GROUP BY ${group}
               ) g`,
            )
            .all(...values) as UsedTotals[],
      );
    },
  };
}
