/** Where a conformance suite gets its savers from, and the short way to use one. */

import {
  uuid6,
  type Checkpoint,
  type CheckpointMetadata,
  type CheckpointTuple,
  type SerializerProtocol,
} from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { afterEach, beforeEach } from "vitest";
import type { HoldfastSaver } from "../../../checkpointers/saver.ts";
import type { openSaver } from "../../support/open-saver.ts";

export type SaverOptions = NonNullable<Parameters<typeof openSaver>[1]> & {
  serde?: SerializerProtocol;
};

/** One database of the kind under test. */
export interface Place {
  create(options?: SaverOptions): Promise<HoldfastSaver>;
  /** Ends the saver and opens another on the same database, with the same options or these. */
  reopen(saver: HoldfastSaver, options?: SaverOptions): Promise<HoldfastSaver>;
  /** Every byte that the database has on disk. */
  rawBytes(): Promise<Buffer>;
  destroy(): Promise<void>;
}

export type NewPlace = () => Promise<Place>;

/** A place for each test, gone afterwards. */
export function placeForEach(newPlace: NewPlace): { get: () => Place } {
  let place: Place | undefined;
  beforeEach(async () => {
    place = await newPlace();
  });
  afterEach(async () => {
    await place?.destroy();
    place = undefined;
  });
  return {
    get: () => {
      if (place === undefined) throw new Error("Only within a test.");
      return place;
    },
  };
}

let clock = 0;

/** A checkpoint with these values, each under this version. */
export function checkpointOf(
  values: Record<string, unknown>,
  version: string | number = 1,
): Checkpoint {
  const versions: [string, string | number][] = Object.keys(values).map((key) => [key, version]);
  clock += 1;
  return {
    v: 4,
    id: uuid6(clock),
    ts: new Date().toISOString(),
    channel_values: values,
    channel_versions: entriesOf(versions),
    versions_seen: {},
  };
}

/** `Object.fromEntries` also for keys such as `__proto__`, which it does right; named for intent. */
function entriesOf<T>(entries: [string, T][]): Record<string, T> {
  return Object.fromEntries(entries);
}

export function metadataOf(more: Record<string, unknown> = {}): CheckpointMetadata {
  return { source: "loop", step: 0, parents: {}, ...more };
}

export function threadConfig(thread_id: string, checkpoint_ns = ""): RunnableConfig {
  return { configurable: { thread_id, checkpoint_ns } };
}

/** Puts a checkpoint as LangGraph would; gives the config of what was put. */
export async function put(
  saver: HoldfastSaver,
  config: RunnableConfig,
  checkpoint: Checkpoint,
  more?: Record<string, unknown>,
): Promise<RunnableConfig> {
  return saver.put(config, checkpoint, metadataOf(more), checkpoint.channel_versions);
}

export async function get(saver: HoldfastSaver, config: RunnableConfig): Promise<CheckpointTuple> {
  const tuple = await saver.getTuple(config);
  if (tuple === undefined) throw new Error(`Nothing at ${JSON.stringify(config.configurable)}`);
  return tuple;
}

export async function listed(
  saver: HoldfastSaver,
  config: RunnableConfig,
  options?: Parameters<HoldfastSaver["list"]>[1],
): Promise<CheckpointTuple[]> {
  const tuples: CheckpointTuple[] = [];
  for await (const tuple of saver.list(config, options)) tuples.push(tuple);
  return tuples;
}

/** The versions that one of LangGraph's loops would mint with this saver, one after the other. */
export function versionsOf(saver: HoldfastSaver): () => string {
  const next = saver.getNextVersion as unknown as (current: string | undefined) => string;
  let current: string | undefined;
  return () => {
    current = next(current);
    return current;
  };
}
