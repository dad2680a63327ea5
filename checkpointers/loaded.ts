/** From what was read to what LangGraph gets. */

import type { Checkpoint, CheckpointPendingWrite } from "@langchain/langgraph-checkpoint";
import { idOf } from "../src/ids.ts";
import type { FoundWrite } from "./dialect.ts";
import { cellText, parseCell, type Cells } from "./encoding/cells.ts";
import type { Decoder } from "./encoding/decode.ts";
import { findReferences } from "./encoding/payloads.ts";
import type { Node } from "./encoding/tree.ts";
import type { Header } from "./header.ts";
import { isWrapped, unwrapNames, type Names } from "./long-names.ts";
import type { VersionReader } from "./version-reader.ts";

/** A pending write whose value is a tree. */
export interface LoadedWrite {
  task: string;
  channel: string;
  branch: number;
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
    const text = cellText(
      typeof write.data === "string" ? write.data : await cells.open(write.data),
    );
    const data = parseCell(text, "pending write") as Node;
    const names: Names & { content: Node } = isWrapped(text)
      ? unwrapNames(data)
      : { content: data };
    const box: [Node] = [names.content];
    parsed.push({ write, names, box, references: findReferences(box) });
  }
  await reader.fetchPayloads(
    parsed.flatMap(({ references }) => references.map(({ hash }) => hash)),
  );
  return parsed.map(({ write, names, box, references }) => {
    reader.resolve(references);
    return {
      task: idOf(write.task) ?? names.task ?? "",
      channel: idOf(write.channel) ?? names.channel ?? "",
      branch: write.branch,
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
  values: Record<string, unknown>,
): Checkpoint {
  const { v, ts, channel_versions, versions_seen } = header.checkpoint;
  return { v, id, ts, channel_values: values, channel_versions, versions_seen };
}
