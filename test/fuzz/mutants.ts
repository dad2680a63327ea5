/**
 * Savers with one fault each, to prove that the property test would notice. Each fault is one that
 * a saver out there has, or that a saver of this kind could easily have.
 */

import {
  ERROR,
  type Checkpoint,
  type CheckpointListOptions,
  type CheckpointMetadata,
  type CheckpointTuple,
  type PendingWrite,
} from "@langchain/langgraph-checkpoint";
import type { RunnableConfig } from "@langchain/core/runnables";
import { Oracle } from "./oracle.ts";
import type { SubjectFactory } from "./run.ts";

type Blobs = Map<string, unknown>;

/** Keeps channel values by (channel, version), as the official Postgres saver does. */
class BlobsByVersion extends Oracle {
  readonly #blobs: Blobs = new Map();
  /** A blob that is there stays: right only if no two branches ever mint the same version. */
  readonly #ignoreExisting: boolean;

  constructor(ignoreExisting: boolean) {
    super();
    this.#ignoreExisting = ignoreExisting;
  }

  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
  ): Promise<RunnableConfig> {
    const inline: Record<string, unknown> = {};
    for (const [channel, value] of Object.entries(checkpoint.channel_values)) {
      const version = checkpoint.channel_versions[channel];
      if (version === undefined) {
        inline[channel] = value;
        continue;
      }
      const key = this.#key(config, channel, version);
      if (!this.#ignoreExisting || !this.#blobs.has(key)) {
        const [type, bytes] = await this.serde.dumpsTyped(value);
        this.#blobs.set(key, { type, bytes });
      }
    }
    return super.put(config, { ...checkpoint, channel_values: inline }, metadata);
  }

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const tuple = await super.getTuple(config);
    return tuple && this.#filled(tuple);
  }

  override async *list(
    config: RunnableConfig,
    options?: CheckpointListOptions,
  ): AsyncGenerator<CheckpointTuple> {
    for await (const tuple of super.list(config, options)) yield this.#filled(tuple);
  }

  async #filled(tuple: CheckpointTuple): Promise<CheckpointTuple> {
    for (const [channel, version] of Object.entries(tuple.checkpoint.channel_versions)) {
      const blob = this.#blobs.get(this.#key(tuple.config, channel, version)) as
        { type: string; bytes: Uint8Array } | undefined;
      if (blob !== undefined) {
        tuple.checkpoint.channel_values[channel] = await this.serde.loadsTyped(
          blob.type,
          blob.bytes,
        );
      }
    }
    return tuple;
  }

  #key(config: RunnableConfig, channel: string, version: string | number): string {
    const { thread_id, checkpoint_ns = "" } = config.configurable ?? {};
    return JSON.stringify([thread_id, checkpoint_ns, channel, version]);
  }
}

/** Trusts `newVersions`: values that changed without a version are not stored. */
class TrustsNewVersions extends Oracle {
  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
    newVersions?: Record<string, string | number>,
  ): Promise<RunnableConfig> {
    const { checkpoint_id: parent } = config.configurable ?? {};
    const before = parent === undefined ? undefined : (await this.getTuple(config))?.checkpoint;
    const values = { ...checkpoint.channel_values };
    for (const channel of Object.keys(values)) {
      const old = before?.channel_values;
      if (newVersions && !(channel in newVersions) && old && channel in old) {
        values[channel] = old[channel];
      }
    }
    return super.put(config, { ...checkpoint, channel_values: values }, metadata);
  }
}

/** Keeps what a task wrote before its edge failed: LangGraph then takes the task for done. */
class KeepsWritesBesideErrors extends Oracle {
  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
  ): Promise<void> {
    const error = writes.findIndex(([channel]) => channel === ERROR);
    await super.putWrites(config, writes.slice(0, error === -1 ? undefined : error), taskId);
    if (error !== -1) await super.putWrites(config, writes.slice(error), taskId);
  }
}

/** Hands out the objects that it keeps, so that whoever changes them changes the past. */
class SharesObjects extends Oracle {
  readonly #tuples = new Map<string, CheckpointTuple>();

  override async getTuple(config: RunnableConfig): Promise<CheckpointTuple | undefined> {
    const tuple = await super.getTuple(config);
    if (tuple === undefined) return undefined;
    const known = this.#tuples.get(tuple.checkpoint.id);
    if (known === undefined) this.#tuples.set(tuple.checkpoint.id, tuple);
    return known === undefined
      ? tuple
      : {
          ...tuple,
          checkpoint: { ...tuple.checkpoint, channel_values: known.checkpoint.channel_values },
        };
  }
}

/** Gives every write a place of its own, so that a repeated one is there twice. */
class DuplicatesWrites extends Oracle {
  #calls = 0;

  override async putWrites(
    config: RunnableConfig,
    writes: PendingWrite[],
    taskId: string,
  ): Promise<void> {
    this.#calls += 1;
    const filler: PendingWrite[] = Array.from({ length: this.#calls % 7 }, () => ["__filler__", 0]);
    await super.putWrites(config, [...filler, ...writes], taskId);
    for (const rows of Object.values(this.writes)) {
      for (const key of Object.keys(rows)) if (rows[key]?.[1] === "__filler__") delete rows[key];
    }
  }
}

/** Draws each version anew, so that equal ones of a superstep differ. */
class RandomVersions extends Oracle {
  override getNextVersion(current: number | undefined): number {
    return Math.floor(current ?? 0) + 1 + Math.random() / 2;
  }
}

/** Sees a parent only in the namespace of the root. */
class LosesParents extends Oracle {
  override async put(
    config: RunnableConfig,
    checkpoint: Checkpoint,
    metadata: CheckpointMetadata,
  ): Promise<RunnableConfig> {
    const { checkpoint_ns: ns = "", ...rest } = config.configurable ?? {};
    const configurable =
      ns === "" ? rest : { ...rest, checkpoint_ns: ns as unknown, checkpoint_id: undefined };
    return super.put({ ...config, configurable }, checkpoint, metadata);
  }
}

export interface Mutant {
  create: () => Oracle;
  /** Which cases can show the fault: on the others the oracle itself is wrong, or the mutant right. */
  shownBy: "delta" | "plain";
}

export const MUTANTS: Record<string, Mutant> = {
  "addresses values by (channel, integer version) and ignores existing ones": {
    create: () => new BlobsByVersion(true),
    shownBy: "plain",
  },
  "addresses values by (channel, integer version) and replaces existing ones": {
    create: () => new BlobsByVersion(false),
    shownBy: "plain",
  },
  "trusts newVersions": { create: () => new TrustsNewVersions(), shownBy: "plain" },
  "hands out the objects that it keeps": { create: () => new SharesObjects(), shownBy: "plain" },
  "stores a repeated write twice": { create: () => new DuplicatesWrites(), shownBy: "plain" },
  "draws every version at random": { create: () => new RandomVersions(), shownBy: "plain" },
  "loses the parents of subgraphs' checkpoints": {
    create: () => new LosesParents(),
    shownBy: "plain",
  },
  "keeps a failed task's writes beside its error": {
    create: () => new KeepsWritesBesideErrors(),
    shownBy: "plain",
  },
  "replays every branch's writes into a delta channel, as MemorySaver does": {
    create: () => new Oracle(),
    shownBy: "delta",
  },
};

export function mutantFactory({ create }: Mutant): SubjectFactory {
  return async () => {
    const saver = create();
    return { saver, reopen: async () => saver, close: async () => undefined };
  };
}
