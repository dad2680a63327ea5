/**
 * Embeddings as the loopback server computes them: equal for equal texts, and the nearer, the more words
 * two texts share. Good enough to find things by, and to see that the right texts were sent.
 */

import type { Usage } from "./wire.ts";

/** The body of a POST to /v1/embeddings. */
export interface EmbeddingRequest {
  model: string;
  input: string | string[];
  /** Default 1536. */
  dimensions?: number;
  /** OpenAI's own client asks for base64. */
  encoding_format?: "float" | "base64";
  [option: string]: unknown;
}

const DIMENSIONS = 1_536;

/** Only as far as the server relies on it: texts, of which there is at least one. */
export function isEmbeddingRequest(body: unknown): body is EmbeddingRequest {
  if (typeof body !== "object" || body === null) return false;
  const { model, input, dimensions = DIMENSIONS } = body as Partial<EmbeddingRequest>;
  const texts = typeof input === "string" ? [input] : input;
  return (
    typeof model === "string" &&
    Array.isArray(texts) &&
    texts.length > 0 &&
    texts.every((text) => typeof text === "string" && text !== "") &&
    Number.isInteger(dimensions) &&
    dimensions > 0
  );
}

/** What the server answers with. */
export function embeddingBody({ model, input, dimensions, encoding_format }: EmbeddingRequest) {
  const texts = typeof input === "string" ? [input] : input;
  const characters = texts.reduce((sum, text) => sum + text.length, 0);
  const tokens = Math.ceil(characters / 4);
  const usage: Omit<Usage, "completion_tokens"> = { prompt_tokens: tokens, total_tokens: tokens };
  const data = texts.map((text, index) => {
    const vector = embed(text, dimensions ?? DIMENSIONS);
    const embedding = encoding_format === "base64" ? toBase64(vector) : [...vector];
    return { object: "embedding", index, embedding };
  });
  return { object: "list", model, data, usage };
}

/** Each word adds one at a place of its own; of length 1, as OpenAI's are. */
function embed(text: string, dimensions: number): Float32Array {
  const vector = new Float32Array(dimensions);
  const words = text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [text];
  for (const word of words) {
    const place = hash(word) % dimensions;
    vector[place] = (vector[place] ?? 0) + 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

/** FNV-1a. */
function hash(word: string): number {
  let hashed = 0x811c9dc5;
  for (let at = 0; at < word.length; at += 1) {
    hashed = Math.imul(hashed ^ word.charCodeAt(at), 0x01000193);
  }
  return hashed >>> 0;
}

function toBase64(vector: Float32Array): string {
  return Buffer.from(vector.buffer, vector.byteOffset, vector.byteLength).toString("base64");
}
