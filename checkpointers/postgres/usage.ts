/** What was used. */

import type { UsageRows } from "../steps/usage-rows.ts";
import { array, cellOf, type Connection, type SqlValue } from "./connection.ts";

const GROUPS = { thread: "u.thread_key", run: "u.run_id", node: "u.node", model: "u.model" };

export function usageRows(connection: Connection): UsageRows {
  return {
    async add(rows) {
      await connection.query(
        `INSERT INTO ${connection.name("usage")} (id, thread_key, run_id, node, model, input_tokens,
           output_tokens, usd, estimated, failed, at)
         SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::text[], $4::text[], $5::text[], $6::bigint[],
           $7::bigint[], $8::double precision[], $9::boolean[], $10::boolean[], $11::bigint[])
         ON CONFLICT DO NOTHING`,
        [
          array.bytes(rows.map((row) => row.id)),
          array.bytes(rows.map((row) => row.thread)),
          array.texts(rows.map((row) => row.runId)),
          array.texts(rows.map((row) => row.node)),
          array.texts(rows.map((row) => row.model)),
          array.bigints(rows.map((row) => row.inputTokens)),
          array.bigints(rows.map((row) => row.outputTokens)),
          array.doubles(rows.map((row) => row.usd)),
          array.booleans(rows.map((row) => row.estimated)),
          array.booleans(rows.map((row) => row.failed)),
          array.bigints(rows.map((row) => row.at)),
        ],
      );
    },
    async totals({ by, thread, runId, since }) {
      const where: string[] = ["true"];
      const values: SqlValue[] = [];
      const add = (condition: string, value: SqlValue): void => {
        values.push(value);
        where.push(`${condition} $${values.length}`);
      };
      if (thread !== undefined) add("u.thread_key =", thread);
      if (runId !== undefined) add("u.run_id =", runId);
      if (since !== undefined) add("u.at >=", Math.ceil(since));
      const group = GROUPS[by];
      const rows = await connection.query(
        `SELECT g.*, ${by === "thread" ? "t.name AS thread_name, t.name_bytes" : "NULL AS thread_name, NULL AS name_bytes"}
         FROM (
           SELECT ${group} AS key, count(*) AS calls, sum(input_tokens)::bigint AS input_tokens,
             sum(output_tokens)::bigint AS output_tokens, coalesce(sum(usd), 0) AS usd
           FROM ${connection.name("usage")} u WHERE ${where.join(" AND ")} GROUP BY ${group}
         ) g ${by === "thread" ? `LEFT JOIN ${connection.name("threads")} t ON t.key = g.key` : ""}`,
        values,
      );
      return rows.map((row) => ({
        key: row["key"] as Uint8Array | string | null,
        threadName: cellOf(row["thread_name"], row["name_bytes"]),
        calls: row["calls"] as number,
        inputTokens: row["input_tokens"] as number,
        outputTokens: row["output_tokens"] as number,
        usd: row["usd"] as number,
      }));
    },
  };
}
