/** Postgres behind the port. */

import type { Dialect } from "../dialect.ts";
import { approvalRows } from "./approvals.ts";
import { attemptRows } from "./attempts.ts";
import * as checkpoints from "./checkpoints.ts";
import type { Connection } from "./connection.ts";
import { effectRows } from "./effects.ts";
import { eventWaitRows } from "./event-waits.ts";
import { eventRows } from "./events.ts";
import { leaseRows } from "./leases.ts";
import { pulseRows } from "./pulses.ts";
import { runEventRows } from "./run-events.ts";
import { runQueueRows } from "./run-queue.ts";
import { runRows } from "./runs.ts";
import { scheduleRows } from "./schedules.ts";
import { setUp } from "./schema.ts";
import { stateRows } from "./states.ts";
import { statusRows } from "./status.ts";
import * as threads from "./threads.ts";
import { usageRows } from "./usage.ts";

export function postgresDialect(connection: Connection, where: string): Dialect {
  return {
    where,
    setup: () => setUp(connection, where),
    end: () => connection.end(),
    reserveVersions: (count) => threads.reserveVersions(connection, count),
    findThread: (key) => threads.findThread(connection, key),
    createThreads: (wanted, now) => threads.createThreads(connection, wanted, now),
    commit: (batch) => checkpoints.commitBatch(connection, batch),
    readCheckpoint: (key, ns, id) => checkpoints.findCheckpoint(connection, key, ns, id),
    readAtOnce: (key, ns, id) => checkpoints.findAtOnce(connection, key, ns, id),
    readVersions: (_thread, ids) => checkpoints.findVersions(connection, ids),
    versionsOfChannels: (thread, channels) =>
      checkpoints.findVersionsOfChannels(connection, thread, channels),
    readPayloads: (thread, hashes) => checkpoints.findPayloads(connection, thread, hashes),
    listCheckpoints: (query) => checkpoints.listRows(connection, query),
    readWrites: (thread, ns, ids, channels) =>
      checkpoints.findWrites(connection, thread, ns, ids, channels),
    readAncestors: (thread, ns, id, limit) =>
      checkpoints.findAncestors(connection, thread, ns, id, limit),
    listThreads: (query) => threads.listThreadRows(connection, query),
    threadsById: (ids) => threads.findThreadsById(connection, ids),
    deleteThread: (key) => threads.deleteThreadRows(connection, key),
    copyThread: (from, key, name, now) => threads.copyThreadRows(connection, from, key, name, now),
    outlineThread: (thread) => threads.outline(connection, thread),
    removeRows: (thread, revision, removal) =>
      threads.removeThreadRows(connection, thread, revision, removal),
    threadsOfRuns: (runIds) => threads.findThreadsOfRuns(connection, runIds),
    stats: (thread) => threads.countRows(connection, thread),
    approvals: approvalRows(connection),
    effects: effectRows(connection),
    leases: leaseRows(connection),
    now: () => connection.now(),
    states: stateRows(connection),
    attempts: attemptRows(connection),
    status: statusRows(connection),
    usage: usageRows(connection),
    runs: runRows(connection),
    runQueue: runQueueRows(connection),
    events: eventRows(connection),
    runEvents: runEventRows(connection),
    schedules: scheduleRows(connection),
    eventWaits: eventWaitRows(connection),
    pulses: pulseRows(connection),
  };
}
