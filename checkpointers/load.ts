/** A checkpoint as found, made of versions and trees, and remembered. */

import { checkpointPlace, visibleWrites } from "./branches.ts";
import type { FoundCheckpoint } from "./dialect.ts";
import { cellText, parseCell } from "./encoding/cells.ts";
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
  writes: LoadedWrite[];
  /** The state's epoch when it was read. */
  epoch: number;
}

/** Reads what the thread's state does not hold already. */
export async function loadCheckpoint(
  { dialect, cells, types }: SaverParts,
  state: ThreadState,
  found: FoundCheckpoint,
  ns: string,
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
  const writes = visibleWrites(found.writes);
  await reader.load([
    ...checkpoint.manifest,
    ...writes.flatMap((write) => (write.base === null ? [] : [write.base])),
  ]);
  const manifest = new Map<string, Version>();
  for (const id of checkpoint.manifest) {
    const version = reader.version(id);
    manifest.set(version.channel, version);
  }
  if (state.epoch === epoch) state.remember(checkpointPlace(ns, checkpointId), manifest);
  return { header, checkpointId, manifest, writes: await readWrites(reader, cells, writes), epoch };
}
