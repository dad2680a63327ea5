/** Turns of a thread: its runs and its lease are changed in one transaction. */

import type { Cell } from "../encoding/cells.ts";
import {
  ENDED,
  RUN_COLUMNS,
  runRow,
  valuesOf,
  type MadeTurn,
  type RunChange,
  type RunDecision,
  type RunQueueRows,
  type RunTurn,
  type RunTurnOptions,
  type TakenRow,
} from "../steps/run-queue-rows.ts";
import type { Connection, SqlRow } from "./connection.ts";
import { insertEvent } from "./events.ts";
import { moveSchedule } from "./schedules.ts";
import { insertThread } from "./threads.ts";

const ENDED_LIST = ENDED.map((status) => `'${status}'`).join(", ");

const COLUMNS = ["seq", ...RUN_COLUMNS].join(", ");

const INSERT = `INSERT INTO holdfast_runs (${RUN_COLUMNS.join(", ")}, details, outcome)
  VALUES (${RUN_COLUMNS.map(() => "?").join(", ")}, ?, ?) ON CONFLICT (run_id) DO NOTHING`;

const UPDATE = `UPDATE holdfast_runs SET ${RUN_COLUMNS.map((column) => `${column} = ?`).join(", ")},
  details = coalesce(?, details), outcome = coalesce(?, outcome) WHERE seq = ?`;

export function runTurns(connection: Connection): RunQueueRows["turn"] {
  return (options, decide) => turn(connection, options, decide);
}

/** Nobody else has a turn while this one lasts, so there is nobody to skip. */
function turn(
  connection: Connection,
  { thread, runId, move, make, takes }: RunTurnOptions,
  decide: (turn: RunTurn) => RunDecision,
): Promise<MadeTurn | undefined> {
  return connection.write(() => {
    const find = (): SqlRow | undefined =>
      connection
        .sql(
          "SELECT lease_owner, lease_token, lease_expires_at FROM holdfast_threads WHERE key = ?",
        )
        .get(thread) as SqlRow | undefined;
    let held = find();
    if (held === undefined && make !== undefined) {
      const { key, name, hashKey } = make.row;
      insertThread(connection, key, name, hashKey, make.now);
      held = find();
    }
    if (held === undefined) return undefined;
    if (move !== undefined && !moveSchedule(connection, move)) return undefined;
    const runs = connection
      .sql(
        `SELECT ${COLUMNS} FROM holdfast_runs
         WHERE thread_key = ? AND (status NOT IN (${ENDED_LIST}) OR run_id = ?) ORDER BY seq`,
      )
      .all(thread, runId ?? "")
      .map((row) => runRow(row as SqlRow));
    const { put, events, lease } = decide({
      now: connection.now(),
      lease:
        held["lease_owner"] === null
          ? undefined
          : {
              owner: held["lease_owner"] as string,
              expiresAt: held["lease_expires_at"] as number,
            },
      token: held["lease_token"] as number,
      runs,
    });
    for (const run of put) write(connection, run);
    for (const event of events) insertEvent(connection, event);
    if (lease === "released") {
      connection
        .sql(
          "UPDATE holdfast_threads SET lease_owner = NULL, lease_expires_at = NULL WHERE key = ?",
        )
        .run(thread);
    } else if (lease !== undefined) {
      connection
        .sql(
          `UPDATE holdfast_threads
           SET lease_owner = ?, lease_token = lease_token + 1, lease_expires_at = ? WHERE key = ?`,
        )
        .run(lease.owner, lease.expiresAt, thread);
      if (takes) return { taken: takenBy(connection, thread, put) };
    }
    return {};
  });
}

function takenBy(
  connection: Connection,
  thread: Uint8Array,
  put: readonly RunChange[],
): TakenRow | undefined {
  const run = put.find(({ status }) => status === "running");
  if (run === undefined) return undefined;
  const { details, outcome } = connection
    .sql("SELECT details, outcome FROM holdfast_runs WHERE seq = ?")
    .get(run.seq) as { details: Cell; outcome: Cell | null };
  const empty = connection
    .sql(
      `SELECT id, generation, hash_key FROM holdfast_threads t WHERE key = ? AND metadata IS NULL
         AND NOT EXISTS (SELECT 1 FROM holdfast_checkpoints c WHERE c.thread_id = t.id)`,
    )
    .get(thread) as SqlRow | undefined;
  return {
    details,
    end: outcome,
    empty: empty && {
      id: empty["id"] as number,
      generation: empty["generation"] as number,
      hashKey: empty["hash_key"] as Uint8Array,
      metadata: null,
    },
  };
}

function write(connection: Connection, run: RunChange): void {
  const values = [...valuesOf(run), run.details, run.end];
  if (run.seq === 0) connection.sql(INSERT).run(...values);
  else connection.sql(UPDATE).run(...values, run.seq);
}
