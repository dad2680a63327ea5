/** From what was read to what LangGraph gets. */

import type { Checkpoint, CheckpointPendingWrite } from "@langchain/langgraph-checkpoint";
import { idOf } from "../src/ids.ts";
import type { FoundWrite } from "./dialect.ts";
import { parseCell, type Cells } from "./encoding/cells.ts";
import type { Decoder } from "./encoding/decode.ts";
import { findReferences } from "./encoding/payloads.ts";
import { setOwn, type Node } from "./encoding/tree.ts";
import type { Header } from "./header.ts";
import { unwrapNames } from "./long-names.ts";
import type { Version } from "./thread-state.ts";
import type { VersionReader } from "./version-reader.ts";

/** A pending write whose value is a tree. */
export interface LoadedWrite {
  task: string;
  channel: string;
  tree: Node;
}

/** Reads the values of pending writes; the versions that they build on are loaded already. */
export async function readWrites(
  reader: VersionReader,
  cells: Cells,
  writes: readonly FoundWrite[],
): Promise<LoadedWrite[]> {
  if (writes.length === 0) return [];
  const parsed = [];
  for (const write of writes) {
    const data = typeof write.data === "string" ? write.data : await cells.open(write.data);
    const { content, ...names } = unwrapNames(parseCell(data, "pending write") as Node);
    const box: [Node] = [content];
    parsed.push({ write, names, box, references: findReferences(box) });
  }
  await reader.fetchPayloads(parsed.flatMap(({ references }) => references));
  return parsed.map(({ write, names, box, references }) => {
    reader.resolve(references);
    return {
      task: idOf(write.task) ?? names.task ?? "",
      channel: idOf(write.channel) ?? names.channel ?? "",
      tree: reader.writeTree(box[0], write.base),
    };
  });
}

export function decodeWrites(
  writes: readonly LoadedWrite[],
  decoder: Decoder,
): CheckpointPendingWrite[] {
  return writes.map(({ task, channel, tree }) => [task, channel, decoder.decode(tree)]);
}

export function buildCheckpoint(
  header: Header,
  id: string,
  manifest: Iterable<readonly [string, Version]>,
  decoder: Decoder,
): Checkpoint {
  const values: Record<string, unknown> = {};
  for (const [channel, version] of manifest) setOwn(values, channel, decoder.decode(version.tree));
  const { v, ts, channel_versions, versions_seen } = header.checkpoint;
  return { v, id, ts, channel_values: values, channel_versions, versions_seen };
}
