/** What the tests of the encoding share: a value to the text in the database, and back. */

import { Decoder } from "../../../checkpointers/encoding/decode.ts";
import { applyInPlace, type Delta } from "../../../checkpointers/encoding/delta.ts";
import { encode } from "../../../checkpointers/encoding/encode.ts";
import {
  PayloadBook,
  findReferences,
  resolveReferences,
} from "../../../checkpointers/encoding/payloads.ts";
import {
  Payload,
  TAG,
  stringify,
  tagged,
  type Node,
} from "../../../checkpointers/encoding/tree.ts";
import type { StoredType } from "../../../checkpointers/encoding/types.ts";

/** A thread as its rows see it: payloads by hash, and everything else as text. */
export class Store {
  readonly book = new PayloadBook(Buffer.from("a thread's key"));
  readonly types: readonly StoredType[];
  readonly #payloads = new Map<string, string | Uint8Array>();

  constructor(types: readonly StoredType[] = []) {
    this.types = types;
  }

  encode(value: unknown, previous?: Node, channel = "channel"): Node {
    return encode(value, previous, { channel, payloads: this.book, types: this.types });
  }

  /** As a checkpoint's metadata: without payloads. */
  encodeInline(value: unknown): Node {
    return encode(value, undefined, {
      channel: "metadata",
      payloads: undefined,
      types: this.types,
    });
  }

  /** The JSON text of a tree or a delta; what it refers to is stored, as the saver would. */
  write(tree: unknown): string {
    const mentioned = new Set<Payload>();
    const text = stringify(tree, mentioned);
    for (const payload of mentioned) {
      this.#payloads.set(payload.hash, payload.value);
      payload.stored = true;
    }
    return text;
  }

  /** Such a text as another process reads it: nothing of this one's objects is in it. */
  read(text: string): Node {
    const holder = [JSON.parse(text) as Node];
    const references = findReferences(holder);
    const found = new Map<string, Payload>();
    for (const { hash } of references) {
      const value = this.#payloads.get(hash);
      if (value === undefined || found.has(hash)) continue;
      found.set(hash, new Payload(hash, structuredClone(value), true));
    }
    resolveReferences(references, found);
    return holder[0] as Node;
  }

  decode(tree: Node): unknown {
    return new Decoder(this.types).decode(tree);
  }

  /** The value at the end of a chain of such texts, without a tree of it. */
  valueOf(keyframe: string, deltas: readonly string[]): unknown {
    const valueOfHash = (hash: string): string | Uint8Array | undefined => this.#payloads.get(hash);
    const tree = applyInPlace(
      JSON.parse(keyframe) as Node,
      deltas.map((delta) => JSON.parse(delta) as Delta),
      (leaf) => {
        const hash = tagged(leaf, TAG.payload)?.["h"];
        const value = typeof hash === "string" ? valueOfHash(hash) : leaf;
        return typeof value === "string" ? value : undefined;
      },
    );
    return new Decoder(this.types).useUp(tree, valueOfHash);
  }

  /** Through the database and back. */
  roundTrip(value: unknown): unknown {
    return this.decode(this.read(this.write(this.encode(value))));
  }
}
