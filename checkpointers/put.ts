/**
 * A put, from LangGraph's checkpoint to the operation that stores it.
 *
 * What is encoded while the call runs (the user may change the objects right after) is separate from
 * what needs the parent, which may have to be read first.
 */

import type { RunnableConfig } from "@langchain/core/runnables";
import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
} from "@langchain/langgraph-checkpoint";
import type { Clock } from "../src/clock.ts";
import { InvalidInputError } from "../src/errors.ts";
import { keyOf } from "../src/ids.ts";
import { leaseTokenOf } from "../src/step-store.ts";
import { checkpointPlace } from "./branches.ts";
import { loopOf } from "./loop.ts";
import type { Target } from "./config.ts";
import { encode } from "./encoding/encode.ts";
import { keyframe } from "./encoding/keyframe.ts";
import { rebase } from "./encoding/rebase.ts";
import { TAG, tagged, type Node } from "./encoding/tree.ts";
import { encodeHeader } from "./header.ts";
import { PutOperation, type NewVersion } from "./operations.ts";
import type { SaverParts } from "./parts.ts";
import type { LeavingEvent } from "./steps/event-rows.ts";
import type { Manifest, ThreadState, Version } from "./thread-state.ts";
import { userMetadata } from "./threads.ts";
import { isOwnVersion } from "./versions.ts";

/** No state's epoch: whatever was encoded then is built whole. */
const BEFORE_ALL = -1;

const NO_CHAIN = keyframe({ text: 0, read: 0 });

/** A checkpoint, encoded. */
export interface PreparedPut {
  target: Target;
  checkpointId: string;
  values: readonly [channel: string, tree: Node][];
  header: string;
  createdAt: number;
  runId: string | undefined;
  metadata: Record<string, unknown> | undefined;
  consumed: readonly number[] | null;
  /** That leave with it. */
  events: readonly LeavingEvent[];
  leansOnAncestors: boolean;
  loop: object;
  leaseToken: number | undefined;
  /** The state's epoch when the values were encoded. */
  epoch: number;
}

/**
 * @param parent what the parent holds; undefined where it must be read first
 * @throws {UnserializableError} a value cannot be stored faithfully
 * @throws {InvalidInputError} it is not a checkpoint
 */
export function preparePut(
  { types, clock, unleased }: SaverParts,
  state: ThreadState,
  parent: Manifest | undefined,
  put: {
    target: Target;
    config: RunnableConfig;
    checkpoint: Checkpoint;
    metadata: CheckpointMetadata;
    newVersions: ChannelVersions;
    consumed: readonly number[] | null;
    events: readonly LeavingEvent[];
  },
): PreparedPut {
  const { target, config, checkpoint, metadata, newVersions, consumed, events } = put;
  checkCheckpoint(checkpoint);
  const values: [channel: string, tree: Node][] = [];
  for (const channel of Object.keys(checkpoint.channel_values)) {
    if (standsForNothing(channel, checkpoint, newVersions, parent)) continue;
    const context = { channel, payloads: state.payloads, types };
    values.push([
      channel,
      encode(checkpoint.channel_values[channel], parent?.get(channel)?.tree, context),
    ]);
  }
  return {
    target,
    checkpointId: checkpoint.id,
    values,
    header: encodeHeader(
      checkpoint,
      metadata,
      { parent: target.checkpointId, ns: target.ns },
      types,
    ),
    createdAt: timeOf(checkpoint.ts, clock),
    runId: runIdOf(config, metadata),
    metadata: userMetadata(config),
    consumed,
    events,
    loop: loopOf(config),
    leaseToken: leaseTokenOf(config) ?? unleased,
    epoch: state.epoch,
    leansOnAncestors: metadata?.counters_since_delta_snapshot !== undefined,
  };
}

/**
 * The contract of savers with plain integers, as LangGraph's validation suite has it: such a version
 * that is not new, and that the parent does not hold, stands for no value.
 */
function standsForNothing(
  channel: string,
  checkpoint: Checkpoint,
  newVersions: ChannelVersions,
  parent: Manifest | undefined,
): boolean {
  const version = checkpoint.channel_versions[channel];
  if (version === undefined || isOwnVersion(version) || Object.hasOwn(newVersions, channel))
    return false;
  return parent !== undefined && !parent.has(channel);
}

/** A put that was encoded without its parent, made of what it shares with it. */
export function rebasePut(put: PreparedPut, parent: Manifest): PreparedPut {
  return {
    ...put,
    values: put.values.map(([channel, tree]) => [channel, rebase(tree, parent.get(channel)?.tree)]),
  };
}

/** The operation that stores a put; from here on the thread's state holds the checkpoint. */
export function putOperation(
  { cells }: SaverParts,
  state: ThreadState,
  put: PreparedPut,
  parent: Manifest,
  parentEpoch: number,
): PutOperation {
  // What the values share with the thread, and what the parent does, must be of the same time.
  const epoch = put.epoch === parentEpoch ? parentEpoch : BEFORE_ALL;
  const manifest = new Map<string, Version>();
  const changed: NewVersion[] = [];
  for (const [channel, tree] of put.values) {
    const before = parent.get(channel);
    const same = before?.tree === tree ? before : state.leafVersion(channel, tree);
    if (same !== undefined) {
      manifest.set(channel, same);
      continue;
    }
    const version: Version = { id: 0, channel, tree, chain: NO_CHAIN };
    state.rememberLeaf(version);
    manifest.set(channel, version);
    changed.push({ version, base: before });
  }
  const { target } = put;
  // At the end of an "exit" invocation that got no further, LangGraph puts again what it began with.
  const isNew = target.checkpointId !== put.checkpointId;
  if (!isNew) keepSnapshots(parent, manifest);
  const operation = new PutOperation(
    { state, cells, loop: put.loop, epoch, leaseToken: put.leaseToken },
    {
      manifest,
      changed,
      header: put.header,
      metadata: state.mergeMetadata(put.metadata),
      leansOnAncestors: put.leansOnAncestors,
      events: put.events,
      row: {
        ns: keyOf(target.ns),
        id: keyOf(put.checkpointId),
        // Put again on itself, it keeps its parent.
        parent: isNew && target.checkpointId !== undefined ? keyOf(target.checkpointId) : null,
        consumed: isNew ? put.consumed : null,
        runId: put.runId === undefined ? null : keyOf(put.runId),
        createdAt: put.createdAt,
      },
    },
  );
  if (epoch === state.epoch) {
    state.remember(checkpointPlace(target.ns, put.checkpointId), manifest);
  }
  return operation;
}

/**
 * The values of delta channels that are stored with a checkpoint: LangGraph leaves them out when it puts
 * it again, and what they were made of is stored nowhere else.
 */
function keepSnapshots(before: Manifest, manifest: Map<string, Version>): void {
  for (const [channel, version] of before) {
    if (!manifest.has(channel) && tagged(version.tree, TAG.snapshot) !== undefined)
      manifest.set(channel, version);
  }
}

function checkCheckpoint(checkpoint: Checkpoint): void {
  if (typeof checkpoint?.id !== "string" || checkpoint.id === "") {
    throw new InvalidInputError("Cannot put a checkpoint: it has no id.");
  }
  if (typeof checkpoint.channel_values !== "object" || checkpoint.channel_values === null) {
    throw new InvalidInputError(
      `Cannot put checkpoint "${checkpoint.id}": it has no channel_values.`,
    );
  }
}

function timeOf(ts: string, clock: Clock): number {
  const time = Date.parse(ts);
  return Number.isNaN(time) ? clock.now() : time;
}

function runIdOf(config: RunnableConfig, metadata: CheckpointMetadata): string | undefined {
  const candidates = [
    (metadata as { run_id?: unknown }).run_id,
    config.metadata?.["run_id"],
    config.configurable?.["run_id"],
    config.runId,
  ];
  return candidates.find((id) => typeof id === "string");
}
