/**
 * Channel versions as read: rows to values, and to trees.
 *
 * A reader serves one `getTuple`, or one listing. A value that is wanted once is made of its rows at
 * once ({@link VersionReader.value}); its tree, which a later put is compared with, only when that
 * comes. In a listing every tree along a chain shares what the one before it has, so each element of
 * its states is decoded once.
 */

import { CorruptDataError } from "../src/errors.ts";
import { idOf } from "../src/ids.ts";
import { cellText, parseCell, type Cells } from "./encoding/cells.ts";
import type { Decoder } from "./encoding/decode.ts";
import { applyDelta, applyDeltas, applyInPlace, type Delta } from "./encoding/delta.ts";
import { extend, keyframe, type Chain, type Weight } from "./encoding/keyframe.ts";
import {
  findReferences,
  hashesIn,
  resolveReferences,
  type PayloadBook,
  type Reference,
} from "./encoding/payloads.ts";
import { Payload, TAG, tagged, type Node } from "./encoding/tree.ts";
import type { Dialect, PayloadRow, VersionRow, WholeCheckpoint } from "./dialect.ts";
import { isWrapped, unwrapNames } from "./long-names.ts";
import { isPlainText, payloadValue } from "./operations.ts";
import type { Version } from "./thread-state.ts";

interface Row {
  channel: Uint8Array;
  /** The channel, once it was asked for. */
  name: string | undefined;
  base: number | null;
  /** Until it is parsed; without a custom serde's seal. */
  text: string;
  weight: Weight;
  /** The payloads that it refers to. */
  hashes: readonly string[];
  /** Once it is parsed: the tree of a keyframe, or a {@link Delta}. */
  content: Node | undefined;
}

type PayloadValue = string | Uint8Array;

export class VersionReader {
  readonly #dialect: Dialect;
  readonly #cells: Cells;
  readonly #thread: number;
  readonly #book: PayloadBook;
  /** Versions that need no reading. */
  readonly #known: ReadonlyMap<number, Version>;
  #rows = new Map<number, Row>();
  /** By hash; as the leaf of trees from when one refers to it. */
  #payloads = new Map<string, Payload | PayloadValue>();
  /** Of the page before, which has most of this one's. */
  #olderPayloads: ReadonlyMap<string, Payload | PayloadValue> = new Map();
  #versions = new Map<number, Version>();
  /** Given out, with their trees still to be made. */
  #unmade: UnmadeVersion[] = [];

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
    const { version, path } = this.#pathTo(id);
    if (version?.id === id) return version;
    let chain = version?.chain;
    const contents: Node[] = version === undefined ? [] : [version.tree];
    for (const step of path.toReversed()) {
      const { content, weight } = this.#parsed(step);
      contents.push(content);
      chain = chain === undefined ? keyframe(weight) : lengthened(chain, weight);
    }
    const made: Version = {
      id,
      channel: version?.channel ?? this.#channelOf(path.at(-1) as number),
      tree: applyDeltas(contents[0] as Node, contents.slice(1) as unknown as Delta[], (text) =>
        this.#book.leaf(text),
      ),
      chain: chain as Chain,
    };
    this.#versions.set(id, made);
    return made;
  }

  /** The version, its tree made when it is first asked for. */
  unmadeVersion(id: number): Version {
    const known = this.#known.get(id) ?? this.#versions.get(id);
    if (known !== undefined) return known;
    const version = new UnmadeVersion(id, this.#channelOf(id), () => this.#makeAll());
    this.#unmade.push(version);
    return version;
  }

  /**
   * The value of a version: the caller's own.
   * @throws {CorruptDataError} the version, or one that it builds on, is not there
   */
  value(id: number, decoder: Decoder): unknown {
    const { version, path } = this.#pathTo(id);
    const isTree = (step: number): boolean => this.#rows.get(step)?.content !== undefined;
    if (version !== undefined || path.some(isTree)) return decoder.decode(this.version(id).tree);
    const contents: Node[] = [];
    for (let i = path.length - 1; i >= 0; i -= 1) contents.push(this.#parse(path[i] as number));
    const deltas = contents.slice(1) as unknown as Delta[];
    const tree = applyInPlace(contents[0] as Node, deltas, (leaf) => this.#textOf(leaf));
    return decoder.useUp(tree, (hash) => valueOf(this.#payloads.get(hash)));
  }

  /** Fetches, in one go, these payloads. */
  async fetchPayloads(hashes: Iterable<string>): Promise<void> {
    const missing = new Set<string>();
    for (const hash of hashes) {
      if (this.#payloads.has(hash)) continue;
      const older = this.#olderPayloads.get(hash);
      if (older === undefined) missing.add(hash);
      else this.#payloads.set(hash, older);
    }
    if (missing.size === 0) return;
    await this.#addPayloads(await this.#dialect.readPayloads(this.#thread, [...missing]));
  }

  /** Puts payloads that were fetched where they belong. */
  resolve(references: readonly Reference[]): void {
    resolveReferences(references, { get: (hash) => this.#leaf(hash) });
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
    const rows = new Map<number, Row>();
    for (const id of ids) {
      for (let at: number | null = id; at !== null && !rows.has(at);) {
        const row = this.#rows.get(at);
        // Its payloads may go.
        if (row?.content === undefined) break;
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
      const row: Row | undefined = this.#rows.get(at);
      if (row === undefined) return false;
      if (row.base === null) return true;
      at = row.base;
    }
  }

  async #fetch(ids: readonly number[]): Promise<void> {
    await this.#addVersions(await this.#dialect.readVersions(this.#thread, ids));
  }

  /** Takes rows that were read already. */
  async accept({ versions, payloads }: WholeCheckpoint): Promise<void> {
    await this.#addPayloads(payloads);
    await this.#addVersions(versions);
  }

  async #addVersions(rows: readonly Omit<VersionRow, "thread">[]): Promise<void> {
    const wanted: string[] = [];
    for (const { id, channel, base, data } of rows) {
      if (this.#rows.has(id)) continue;
      const text = cellText(typeof data === "string" ? data : await this.#cells.open(data));
      const hashes = hashesIn(text);
      for (const hash of hashes) wanted.push(hash);
      this.#rows.set(id, {
        channel,
        name: undefined,
        base,
        text,
        weight: { text: text.length, read: text.length },
        hashes,
        content: undefined,
      });
    }
    await this.fetchPayloads(wanted);
  }

  async #addPayloads(rows: readonly Omit<PayloadRow, "thread">[]): Promise<void> {
    for (const { hash, kind, data } of rows) {
      const value = isPlainText(kind, data) ? data : await payloadValue(this.#cells, kind, data);
      this.#payloads.set(hash, value);
    }
  }

  /** What leads to a version: the nearest one that is made, and the ids from this one back to that. */
  #pathTo(id: number): { version: Version | undefined; path: number[] } {
    const path: number[] = [];
    for (let at = id; ;) {
      const version = this.#known.get(at) ?? this.#versions.get(at);
      if (version !== undefined) return { version, path };
      const row = this.#rows.get(at);
      if (row === undefined) {
        throw new CorruptDataError(
          `Channel version ${at}, on which version ${id} builds, is not stored.`,
        );
      }
      path.push(at);
      if (row.base === null) return { version: undefined, path };
      at = row.base;
    }
  }

  /** A row with its content as trees have it. */
  #parsed(id: number): { content: Node; weight: Weight } {
    const row = this.#rows.get(id) as Row;
    if (row.content === undefined) {
      this.#channelOf(id);
      const box: [Node] = [this.#parse(id)];
      if (row.hashes.length > 0) this.resolve(findReferences(box));
      for (const hash of row.hashes)
        row.weight.read += valueOf(this.#payloads.get(hash))?.length ?? 0;
      [row.content] = box;
      row.text = "";
    }
    return row as Row & { content: Node };
  }

  /** A row's content, new with each call. */
  #parse(id: number): Node {
    const { text } = this.#rows.get(id) as Row;
    const content = parseCell(text, `channel version ${id}`) as Node;
    return isWrapped(text) ? unwrapNames(content).content : content;
  }

  #channelOf(id: number): string {
    const row = this.#rows.get(id) as Row;
    row.name ??=
      idOf(row.channel) ??
      unwrapNames(parseCell(row.text, `channel version ${id}`) as Node).channel ??
      "";
    return row.name;
  }

  #leaf(hash: string): Payload | undefined {
    const found = this.#payloads.get(hash);
    if (found === undefined || found instanceof Payload) return found;
    const payload = new Payload(hash, found, true);
    this.#payloads.set(hash, payload);
    return payload;
  }

  /** The text of a leaf of a tree that is fresh from the parser. */
  #textOf(leaf: Node): string | undefined {
    const hash = tagged(leaf, TAG.payload)?.["h"];
    const value = typeof hash === "string" ? valueOf(this.#payloads.get(hash)) : leaf;
    return typeof value === "string" ? value : undefined;
  }

  /** All at once, so that none holds on to the rows for long. */
  #makeAll(): void {
    for (const unmade of this.#unmade) unmade.make(this.version(unmade.id));
    this.#unmade = [];
  }
}

/** A version that was read for its value. */
class UnmadeVersion implements Version {
  readonly id: number;
  readonly channel: string;
  #made: Version | undefined;
  #makeAll: (() => void) | undefined;

  constructor(id: number, channel: string, makeAll: () => void) {
    this.id = id;
    this.channel = channel;
    this.#makeAll = makeAll;
  }

  make(version: Version): void {
    this.#made = version;
    this.#makeAll = undefined;
  }

  get tree(): Node {
    return this.#get().tree;
  }

  get chain(): Chain {
    return this.#get().chain;
  }

  #get(): Version {
    this.#makeAll?.();
    return this.#made as Version;
  }
}

function valueOf(payload: Payload | PayloadValue | undefined): PayloadValue | undefined {
  return payload instanceof Payload ? payload.value : payload;
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
