/**
 * What a `DeltaChannel` is rebuilt from: the writes along a checkpoint's ancestors, down to the
 * nearest stored value. A recursive query finds the line, one more its writes, whatever its length.
 *
 * Of each ancestor only those writes count that its child on this line consumed (branches.ts), which
 * is what makes forks right.
 */

import type { CheckpointPendingWrite, DeltaChannelHistory } from "@langchain/langgraph-checkpoint";
import { idOf, keyOf } from "../src/ids.ts";
import { updateTaskOf } from "./branches.ts";
import { NULL_TASK_ID, tookWrite, visibleWrites } from "./found-writes.ts";
import type { Target } from "./config.ts";
import type { Ancestor } from "./dialect.ts";
import { Decoder } from "./encoding/decode.ts";
import { decodeWrites, readWrites } from "./loaded.ts";
import type { SaverParts } from "./parts.ts";
import type { ThreadState } from "./thread-state.ts";
import { VersionReader } from "./version-reader.ts";

/** Ancestors read at a time; LangGraph stores a snapshot every 1,000 supersteps unless told otherwise. */
const PAGE = 1_024;

export async function deltaChannelHistory(
  { dialect, cells, types }: SaverParts,
  state: ThreadState,
  target: Target,
  channels: readonly string[],
): Promise<Record<string, DeltaChannelHistory>> {
  const result: Record<string, DeltaChannelHistory> = {};
  for (const channel of channels) result[channel] = { writes: [] };
  const thread = channels.length === 0 ? undefined : await dialect.findThread(state.key);
  if (thread === undefined) return result;
  state.bind(thread);

  const ns = keyOf(target.ns);
  const keys = channels.map(keyOf);
  const stored = new Map<number, string>();
  for (const { id, channel } of await dialect.versionsOfChannels(thread.id, keys)) {
    const name = channels.find((_, i) => Buffer.compare(keys[i] as Uint8Array, channel) === 0);
    stored.set(id, name ?? (idOf(channel) as string));
  }

  // The line, as far as some channel has no stored value yet, and where each channel's is.
  const line: Ancestor[] = [];
  const seeds = new Map<string, { depth: number; version: number }>();
  let from =
    target.checkpointId === undefined
      ? (await dialect.readCheckpoint(state.key, ns, undefined))?.checkpoint.id
      : keyOf(target.checkpointId);
  while (from !== undefined && seeds.size < channels.length) {
    const page: Ancestor[] = await dialect.readAncestors(thread.id, ns, from, PAGE);
    for (const ancestor of page) {
      if (seeds.size === channels.length) break;
      for (const version of ancestor.manifest) {
        const channel = stored.get(version);
        if (channel !== undefined && !seeds.has(channel))
          seeds.set(channel, { depth: line.length, version });
      }
      line.push(ancestor);
    }
    from = page.length === PAGE ? page.at(-1)?.id : undefined;
  }

  // Of the writes that a task made in several branches, one of another channel may be the one that counts.
  const isMixed = ({ consumed }: Ancestor): boolean => (consumed?.length ?? 1) > 1;
  const idsOf = (ancestors: Ancestor[]): Uint8Array[] => ancestors.map(({ id }) => id);
  const { mixed = [], pure = [] } = Object.groupBy(line, (one) =>
    isMixed(one) ? "mixed" : "pure",
  );
  const rows = [
    ...(await dialect.readWrites(thread.id, ns, idsOf(pure), keys)),
    ...(await dialect.readWrites(thread.id, ns, idsOf(mixed))),
  ];
  const byCheckpoint = Map.groupBy(rows, ({ checkpoint }) => textOf(checkpoint));
  const wanted = new Set(keys.map(textOf));
  const taken = line.map(({ id, consumed }) => {
    const found = byCheckpoint.get(textOf(id)) ?? [];
    const visible = visibleWrites(found.filter((write) => tookWrite(consumed, write)));
    return visible.filter(({ channel }) => wanted.has(textOf(channel)));
  });
  const reader = new VersionReader(dialect, cells, thread.id, state.payloads, state.versionsById());
  await reader.load([
    ...[...seeds.values()].map(({ version }) => version),
    ...taken.flat().flatMap(({ base }) => (base === null ? [] : [base])),
  ]);
  const decoder = new Decoder(types);
  for (let depth = line.length - 1; depth >= 0; depth -= 1) {
    const { id } = line[depth] as Ancestor;
    const loaded = await readWrites(reader, cells, taken[depth] ?? []);
    const writes = inOrder(decodeWrites(loaded, decoder), idOf(id) ?? "");
    for (const write of writes) {
      // The writes on the checkpoint that holds the value come after it, and count.
      const seed = seeds.get(write[1]);
      if (seed === undefined || depth <= seed.depth)
        result[write[1]]?.writes.push(write satisfies CheckpointPendingWrite);
    }
  }
  for (const [channel, { version }] of seeds) {
    const history = result[channel];
    if (history !== undefined) history.seed = decoder.decode(reader.version(version).tree);
  }
  return result;
}

/** A key of a map. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/**
 * The order in which LangGraph applied the writes on one checkpoint: input, the tasks, `updateState`.
 * At each of these an `Overwrite` discarded what came with it; since a replay discards what comes before
 * one, it goes last.
 */
function inOrder(
  writes: readonly CheckpointPendingWrite[],
  checkpointId: string,
): CheckpointPendingWrite[] {
  if (writes.length < 2) return [...writes];
  const updateTask = updateTaskOf(checkpointId);
  const rank = ([task, , value]: CheckpointPendingWrite): number =>
    (task === NULL_TASK_ID ? 0 : task === updateTask ? 4 : 2) + Number(isOverwrite(value));
  return writes.toSorted((a, b) => rank(a) - rank(b));
}

/** As LangGraph tells it. */
function isOverwrite(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return (
    "__overwrite__" in value ||
    ("type" in value && value.type === "__overwrite__" && "value" in value)
  );
}
