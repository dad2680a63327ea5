/**
 * Cells: what a column holds. Without a custom serde a cell is the JSON text itself. With one, the
 * text goes through the serde, so that every stored byte of a value is the serde's (an encrypting
 * one, say), and the cell is those bytes behind a small header.
 *
 * The serde gets strings and nothing else: the richness of types is the tree's business, and a string
 * survives any serializer.
 */

import { createCipheriv, createDecipheriv } from "node:crypto";
import type { SerializerProtocol } from "@langchain/langgraph-checkpoint";
import { CorruptDataError } from "../../src/errors.ts";
import { randomKey } from "../../src/ids.ts";

/** Plain text, or bytes of a custom serde. */
export type Cell = string | Uint8Array;

/** First byte of a sealed cell. No JSON text, and no UTF-8 text of ours, begins with it. */
const SEALED = 0x01;
/** Of a cell that was encrypted under a key of its own, which is sealed beside it. */
const ENVELOPE = 0x02;
const CIPHER = "aes-256-gcm";
const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class Cells {
  readonly #serde: SerializerProtocol | undefined;

  /** @param serde the user's; undefined for plain text */
  constructor(serde: SerializerProtocol | undefined) {
    this.#serde = serde;
  }

  /** True where cells must go through {@link seal}, which takes time, before they are written. */
  get sealing(): boolean {
    return this.#serde !== undefined;
  }

  async seal(text: Cell): Promise<Cell> {
    if (this.#serde === undefined) return text;
    const plain = typeof text === "string" ? text : Buffer.from(text).toString("base64");
    const [type, bytes] = await this.#serde.dumpsTyped(plain);
    const name = Buffer.from(type);
    if (name.length > 255) throw new CorruptDataError(`The serde's type name is too long: ${type}`);
    return Buffer.concat([
      Buffer.of(SEALED, typeof text === "string" ? 0 : 1, name.length),
      name,
      bytes,
    ]);
  }

  /**
   * Seals one text later, without waiting: a synchronous transaction cannot wait for the serde. The text
   * is encrypted under a key of its own, and the key goes through the serde now.
   */
  async sealer(): Promise<(text: string) => Cell> {
    if (this.#serde === undefined) return (text) => text;
    const key = randomKey(KEY_BYTES);
    const sealedKey = Buffer.from(await this.seal(key));
    return (text) => {
      const nonce = randomKey(NONCE_BYTES);
      const cipher = createCipheriv(CIPHER, key, nonce);
      const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
      const length = Buffer.alloc(4);
      length.writeUInt32BE(sealedKey.length);
      const parts = [Buffer.of(ENVELOPE), length, sealedKey, nonce, cipher.getAuthTag(), body];
      return Buffer.concat(parts);
    };
  }

  async #openEnvelope(cell: Uint8Array): Promise<Cell> {
    const bytes = Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength);
    try {
      const keyEnd = 5 + bytes.readUInt32BE(1);
      const key = await this.open(bytes.subarray(5, keyEnd));
      const nonce = bytes.subarray(keyEnd, keyEnd + NONCE_BYTES);
      const tagEnd = keyEnd + NONCE_BYTES + TAG_BYTES;
      const decipher = createDecipheriv(CIPHER, Buffer.from(key), nonce);
      decipher.setAuthTag(bytes.subarray(keyEnd + NONCE_BYTES, tagEnd));
      return Buffer.concat([decipher.update(bytes.subarray(tagEnd)), decipher.final()]).toString();
    } catch (cause) {
      if (cause instanceof CorruptDataError) throw cause;
      throw new CorruptDataError("A stored value's envelope is damaged.", { cause });
    }
  }

  /** The text (or bytes) of a cell as the database gave it. */
  async open(cell: Cell): Promise<Cell> {
    if (typeof cell !== "string" && cell[0] === ENVELOPE) return this.#openEnvelope(cell);
    if (typeof cell === "string" || cell[0] !== SEALED) return cell;
    if (this.#serde === undefined) {
      throw new CorruptDataError(
        "A stored value was written through a custom serde, and this saver has none. " +
          "Open the database with the serde that wrote it.",
      );
    }
    const isText = cell[1] === 0;
    const typeEnd = 3 + (cell[2] ?? 0);
    const type = Buffer.from(cell.subarray(3, typeEnd)).toString();
    let plain: unknown;
    try {
      plain = await this.#serde.loadsTyped(type, cell.subarray(typeEnd));
    } catch (cause) {
      throw new CorruptDataError("The saver's serde could not read a stored value.", { cause });
    }
    if (typeof plain !== "string") {
      throw new CorruptDataError("The saver's serde gave back something other than it was given.");
    }
    return isText ? plain : Buffer.from(plain, "base64");
  }
}

/** The text of an opened cell: databases give bytes where the column holds both. */
export function cellText(cell: Cell): string {
  return typeof cell === "string"
    ? cell
    : Buffer.from(cell.buffer, cell.byteOffset, cell.byteLength).toString();
}

/** @throws {CorruptDataError} not JSON */
export function parseCell(cell: Cell, what: string): unknown {
  try {
    return JSON.parse(cellText(cell)) as unknown;
  } catch (cause) {
    throw new CorruptDataError(`Stored ${what} is damaged: it is not JSON.`, { cause });
  }
}
