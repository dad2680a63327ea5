/**
 * A checkpoint's header: everything of it but the channels' values. One small JSON text.
 *
 * Channel versions repeat (all channels of a superstep share one, and `versions_seen` repeats them),
 * so they are listed once and referred to by position.
 */

import type {
  ChannelVersions,
  Checkpoint,
  CheckpointMetadata,
} from "@langchain/langgraph-checkpoint";
import { CorruptDataError } from "../src/errors.ts";
import { isLongId } from "../src/ids.ts";
import { Decoder } from "./encoding/decode.ts";
import { encode } from "./encoding/encode.ts";
import { keyInTree, keyOfUser, setOwn, type Node } from "./encoding/tree.ts";
import type { StoredType } from "./encoding/types.ts";

type VersionId = string | number;

/** Its stored form; `d` lists the versions that `c` and `s` point into. */
interface HeaderForm {
  v: number;
  t: string;
  d: VersionId[];
  c: Record<string, number>;
  s: Record<string, Record<string, number>>;
  m: Node;
  /** Ids that are too long for their key columns. */
  l?: LongIds;
}

interface LongIds {
  id?: string;
  parent?: string;
  ns?: string;
}

export interface Header {
  checkpoint: Omit<Checkpoint, "id" | "channel_values">;
  metadata: CheckpointMetadata;
  long: LongIds;
}

/** @throws {UnserializableError} the metadata holds something that cannot be stored faithfully */
export function encodeHeader(
  checkpoint: Checkpoint,
  metadata: CheckpointMetadata,
  ids: { parent: string | undefined; ns: string },
  types: readonly StoredType[],
): string {
  const positions = new Map<VersionId, number>();
  const position = (version: VersionId): number => {
    let at = positions.get(version);
    if (at === undefined) {
      at = positions.size;
      positions.set(version, at);
    }
    return at;
  };
  const point = (versions: ChannelVersions): string => {
    let members = "";
    for (const channel of Object.keys(versions)) {
      if (members !== "") members += ",";
      members += memberOf(channel) + String(position(versions[channel] as VersionId));
    }
    return `{${members}}`;
  };
  const c = point(checkpoint.channel_versions);
  let s = "";
  for (const node of Object.keys(checkpoint.versions_seen ?? {})) {
    if (s !== "") s += ",";
    s += memberOf(node) + point(checkpoint.versions_seen[node] ?? {});
  }
  const long: LongIds = {};
  if (isLongId(checkpoint.id)) long.id = checkpoint.id;
  if (ids.parent !== undefined && isLongId(ids.parent)) long.parent = ids.parent;
  if (isLongId(ids.ns)) long.ns = ids.ns;
  const head: Pick<HeaderForm, "v" | "t" | "d"> = {
    v: checkpoint.v,
    t: checkpoint.ts,
    d: [...positions.keys()],
  };
  const tail: Pick<HeaderForm, "m" | "l"> = {
    m: encode(metadata, undefined, { channel: "metadata", payloads: undefined, types }),
    ...(Object.keys(long).length > 0 ? { l: long } : {}),
  };
  return `${JSON.stringify(head).slice(0, -1)},"c":${c},"s":{${s}},${JSON.stringify(tail).slice(1)}`;
}

/** JSON of a member's key, and the colon, by channel or node: a graph has few of them. */
const members = new Map<string, string>();
const MAX_MEMBERS = 10_000;

function memberOf(name: string): string {
  let text = members.get(name);
  if (text === undefined) {
    text = `${JSON.stringify(keyInTree(name))}:`;
    if (members.size === MAX_MEMBERS) members.clear();
    members.set(name, text);
  }
  return text;
}

/** @throws {CorruptDataError} not a header */
export function decodeHeader(stored: unknown, types: readonly StoredType[]): Header {
  const form = stored as HeaderForm;
  if (
    typeof form !== "object" ||
    form === null ||
    !Array.isArray(form.d) ||
    typeof form.c !== "object"
  ) {
    throw new CorruptDataError("A stored checkpoint header is damaged.");
  }
  const versions = (pointers: Record<string, number>): Record<string, VersionId> => {
    const found: Record<string, VersionId> = {};
    for (const channel of Object.keys(pointers)) {
      setOwn(found, keyOfUser(channel), form.d[pointers[channel] as number]);
    }
    return found;
  };
  const seen: Record<string, Record<string, VersionId>> = {};
  for (const node of Object.keys(form.s))
    setOwn(seen, keyOfUser(node), versions(form.s[node] as Record<string, number>));
  return {
    checkpoint: {
      v: form.v,
      ts: form.t,
      channel_versions: versions(form.c),
      versions_seen: seen,
    },
    metadata: new Decoder(types).decode(form.m) as CheckpointMetadata,
    long: form.l ?? {},
  };
}
