/** A checkpoint as found, made of versions and trees, and remembered. */

import { checkpointPlace } from "./branches.ts";
import { visibleWrites } from "./found-writes.ts";
import type { FoundCheckpoint, WholeCheckpoint } from "./dialect.ts";
import { cellText, parseCell } from "./encoding/cells.ts";
import type { Decoder } from "./encoding/decode.ts";
import { setOwn } from "./encoding/tree.ts";
import { decodeHeader, type Header } from "./header.ts";
import { readWrites, type LoadedWrite } from "./loaded.ts";
import { wholeId } from "./long-names.ts";
import type { SaverParts } from "./parts.ts";
import type { Manifest, ThreadState, Version } from "./thread-state.ts";
import { VersionReader } from "./version-reader.ts";

export interface LoadedCheckpoint {
  header: Header;
  checkpointId: string;
  manifest: Manifest;
  /** The channels' values, the caller's own; none where they were not asked for. */
  values: Record<string, unknown>;
  writes: LoadedWrite[];
  /** The state's epoch when it was read. */
  epoch: number;
}

/**
 * Reads what the thread's state does not hold already.
 * @param decoder makes the channels' values, where they are wanted
 */
export async function loadCheckpoint(
  { dialect, cells, types }: SaverParts,
  state: ThreadState,
  found: FoundCheckpoint | WholeCheckpoint,
  ns: string,
  decoder: Decoder | undefined,
): Promise<LoadedCheckpoint> {
  const { checkpoint, thread } = found;
  state.bind(thread);
  if (thread.metadata !== null) {
    const text = cellText(await cells.open(thread.metadata));
    state.noteMetadata(text);
  }
  const header = decodeHeader(
    parseCell(await cells.open(checkpoint.header), "checkpoint header"),
    types,
  );
  const checkpointId = wholeId(checkpoint.id, header.long.id);
  const { epoch } = state;
  const reader = new VersionReader(dialect, cells, thread.id, state.payloads, state.versionsById());
  if ("versions" in found) await reader.accept(found);
  const writes = visibleWrites(found.writes);
  await reader.load([
    ...checkpoint.manifest,
    ...writes.flatMap((write) => (write.base === null ? [] : [write.base])),
  ]);
  const manifest = new Map<string, Version>();
  const values: Record<string, unknown> = {};
  for (const id of checkpoint.manifest) {
    if (decoder === undefined) {
      const version = reader.version(id);
      manifest.set(version.channel, version);
    } else {
      // Many only read: the tree is made if a put needs it.
      const value = reader.value(id, decoder);
      const version = reader.unmadeVersion(id);
      manifest.set(version.channel, version);
      setOwn(values, version.channel, value);
    }
  }
  const loadedWrites = await readWrites(reader, cells, writes);
  if (state.epoch === epoch) state.remember(checkpointPlace(ns, checkpointId), manifest);
  return { header, checkpointId, manifest, values, writes: loadedWrites, epoch };
}
