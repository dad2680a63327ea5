/**
 * Channel versions as read: rows to trees.
 *
 * A reader serves one `getTuple`, or one listing. Rows are parsed once, and every tree along a chain
 * shares what the one before it has, so a listing decodes each element of its states once.
 */

import { CorruptDataError } from "../src/errors.ts";
import { idOf } from "../src/ids.ts";
import { cellText, parseCell, type Cells } from "./encoding/cells.ts";
import { applyDelta, type Delta } from "./encoding/delta.ts";
import { extend, keyframe, type Chain, type Weight } from "./encoding/keyframe.ts";
import {
  findReferences,
  resolveReferences,
  type PayloadBook,
  type Reference,
} from "./encoding/payloads.ts";
import { Payload, type Node } from "./encoding/tree.ts";
import type { Dialect } from "./dialect.ts";
import { unwrapNames } from "./long-names.ts";
import { payloadValue } from "./operations.ts";
import type { Version } from "./thread-state.ts";

interface ParsedRow {
  channel: string;
  base: number | null;
  /** The tree of a keyframe, or a {@link Delta}. */
  content: Node;
  weight: Weight;
}

export class VersionReader {
  readonly #dialect: Dialect;
  readonly #cells: Cells;
  readonly #thread: number;
  readonly #book: PayloadBook;
  /** Versions that need no reading. */
  readonly #known: ReadonlyMap<number, Version>;
  #rows = new Map<number, ParsedRow>();
  #payloads = new Map<string, Payload>();
  /** Of the page before, which has most of this one's. */
  #olderPayloads: ReadonlyMap<string, Payload> = new Map();
  #versions = new Map<number, Version>();

  constructor(
    dialect: Dialect,
    cells: Cells,
    thread: number,
    book: PayloadBook,
    known: ReadonlyMap<number, Version>,
  ) {
    this.#dialect = dialect;
    this.#cells = cells;
    this.#thread = thread;
    this.#book = book;
    this.#known = known;
  }

  /** Fetches these versions; afterwards {@link version} gives them. */
  async load(ids: Iterable<number>): Promise<void> {
    const missing: number[] = [];
    for (const id of ids) if (!this.#isAtHand(id)) missing.push(id);
    if (missing.length > 0) await this.#fetch(missing);
  }

  /** @throws {CorruptDataError} the version, or one that it builds on, is not there */
  version(id: number): Version {
    const path: number[] = [];
    let at = id;
    let version = this.#known.get(at) ?? this.#versions.get(at);
    while (version === undefined) {
      const row = this.#rows.get(at);
      if (row === undefined) {
        throw new CorruptDataError(
          `Channel version ${at}, on which version ${id} builds, is not stored.`,
        );
      }
      path.push(at);
      if (row.base === null) break;
      at = row.base;
      version = this.#known.get(at) ?? this.#versions.get(at);
    }
    for (const step of path.toReversed()) version = this.#step(step, version);
    this.#versions.set(id, version as Version);
    return version as Version;
  }

  /** Fetches, in one go, the payloads of these references. */
  async fetchPayloads(references: Iterable<Reference>): Promise<void> {
    const missing = new Set<string>();
    for (const { hash } of references) {
      if (this.#payloads.has(hash)) continue;
      const older = this.#olderPayloads.get(hash);
      if (older === undefined) missing.add(hash);
      else this.#payloads.set(hash, older);
    }
    if (missing.size === 0) return;
    for (const { hash, kind, data } of await this.#dialect.readPayloads(this.#thread, [
      ...missing,
    ])) {
      const value = await payloadValue(this.#cells, kind, data);
      this.#payloads.set(hash, new Payload(hash, value, true));
    }
  }

  /** Puts payloads that were fetched where they belong. */
  resolve(references: readonly Reference[]): number {
    return resolveReferences(references, this.#payloads);
  }

  /** The tree of a pending write, which may be a delta on a version. */
  writeTree(content: Node, base: number | null): Node {
    if (base === null) return content;
    return applyDelta(this.version(base).tree, content as unknown as Delta, (text) =>
      this.#book.leaf(text),
    );
  }

  /** Forgets all that these versions do not need; for the next page of a listing. */
  keepOnly(ids: Iterable<number>): void {
    const rows = new Map<number, ParsedRow>();
    for (const id of ids) {
      for (let at: number | null = id; at !== null && !rows.has(at);) {
        const row = this.#rows.get(at);
        if (row === undefined) break;
        rows.set(at, row);
        at = row.base;
      }
    }
    this.#rows = rows;
    this.#versions = new Map();
    this.#olderPayloads = this.#payloads;
    this.#payloads = new Map();
  }

  #isAtHand(id: number): boolean {
    for (let at: number | null = id; ;) {
      if (this.#known.has(at) || this.#versions.has(at)) return true;
      const row: ParsedRow | undefined = this.#rows.get(at);
      if (row === undefined) return false;
      if (row.base === null) return true;
      at = row.base;
    }
  }

  async #fetch(ids: readonly number[]): Promise<void> {
    const fresh: { row: ParsedRow; id: number; box: [Node]; references: Reference[] }[] = [];
    for (const { id, channel, base, data } of await this.#dialect.readVersions(this.#thread, ids)) {
      if (this.#rows.has(id)) continue;
      const text = cellText(typeof data === "string" ? data : await this.#cells.open(data));
      const named = unwrapNames(parseCell(text, `channel version ${id}`) as Node);
      const box: [Node] = [named.content];
      fresh.push({
        id,
        box,
        references: findReferences(box),
        row: {
          channel: idOf(channel) ?? named.channel ?? "",
          base,
          content: null,
          weight: { text: text.length, read: text.length },
        },
      });
    }
    await this.fetchPayloads(fresh.flatMap(({ references }) => references));
    for (const { id, row, box, references } of fresh) {
      row.weight.read += this.resolve(references);
      [row.content] = box;
      this.#rows.set(id, row);
    }
  }

  #step(id: number, base: Version | undefined): Version {
    const { channel, content, weight } = this.#rows.get(id) as ParsedRow;
    if (base === undefined) return { id, channel, tree: content, chain: keyframe(weight) };
    const tree = applyDelta(base.tree, content as unknown as Delta, (text) =>
      this.#book.leaf(text),
    );
    return { id, channel, tree, chain: lengthened(base.chain, weight) };
  }
}

/** A chain as it is stored, whatever today's rule would have said. */
function lengthened(chain: Chain, delta: Weight): Chain {
  return (
    extend(chain, delta) ?? {
      length: chain.length + 1,
      keyframe: chain.keyframe,
      deltas: { text: Number.MAX_SAFE_INTEGER, read: Number.MAX_SAFE_INTEGER },
    }
  );
}
