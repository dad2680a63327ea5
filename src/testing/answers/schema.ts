/**
 * Fills a JSON schema from the texts of a prompt: structured output and arguments of tools.
 *
 * Strings are the sentences that fit the query best, item `n` of a list the `n`-th best; a list of
 * sentences ends where they fit badly. Three kinds of name get something fitting: a heading for `title`, `heading` or `name`, a question about such
 * a heading for `question`, and the query itself for `query`, `topic` or `input`.
 */

import type { Json, JsonSchema } from "../wire.ts";
import type { Prompt } from "./prompt.ts";
import { plain, rankHeadings, rankSentences, terms, type Heading, type Sentence } from "./text.ts";

/** A list that the schema does not limit has at most this many items. */
const DEFAULT_ITEMS = 5;
/** Where a schema that contains itself is cut off. */
const DEEPEST = 8;

interface Material {
  query: string;
  sentences: Sentence[];
  headings: Heading[];
}

export function fillSchema(schema: JsonSchema, prompt: Prompt): Json {
  return new Filler(schema, materialOf(prompt)).fill(schema, "", 0);
}

/** For a schema that is known to describe an object: the arguments of a tool. */
export function fillObject(schema: JsonSchema, prompt: Prompt): Record<string, Json> {
  return new Filler(schema, materialOf(prompt)).fillProperties(schema, 0, 0);
}

function materialOf({ query, documents }: Prompt): Material {
  return {
    query,
    sentences: rankSentences(documents, query),
    headings: rankHeadings(documents, query),
  };
}

class Filler {
  readonly #root: JsonSchema;
  readonly #material: Material;

  constructor(root: JsonSchema, material: Material) {
    this.#root = root;
    this.#material = material;
  }

  /** The value for one place of the schema; `rank` says which of the best texts it takes. */
  fill(given: JsonSchema, name: string, rank: number, depth = 0): Json {
    const schema = this.#resolve(given);
    if (schema.const !== undefined) return schema.const;
    if (schema.enum) return this.#choose(schema.enum, rank);
    switch (typeOf(schema)) {
      case "object":
        return this.fillProperties(schema, rank, depth);
      case "array":
        return Array.from({ length: depth > DEEPEST ? 0 : this.#count(schema) }, (_, index) =>
          this.fill(schema.items ?? {}, name, rank + index, depth + 1),
        );
      case "integer":
      case "number":
        return this.#number(schema, rank);
      case "boolean":
        return this.#covered() >= 0.5;
      case "null":
        return null;
      default:
        return this.#string(name, rank);
    }
  }

  fillProperties({ properties = {} }: JsonSchema, rank: number, depth: number) {
    const filled: Record<string, Json> = {};
    for (const [key, schema] of Object.entries(properties))
      filled[key] = depth > DEEPEST ? null : this.fill(schema, key, rank, depth + 1);
    return filled;
  }

  /** Follows references, and of alternatives takes the first that is not null. */
  #resolve(schema: JsonSchema): JsonSchema {
    if (schema.$ref !== undefined) {
      const [, , key = ""] = schema.$ref.split("/");
      const target = this.#root.$defs?.[key] ?? this.#root.definitions?.[key];
      return schema.$ref === "#" ? this.#root : target ? this.#resolve(target) : {};
    }
    const options = schema.anyOf ?? schema.oneOf;
    const option = options?.find(({ type }) => type !== "null");
    if (option) return this.#resolve(option);
    if (schema.allOf) {
      const merged: JsonSchema = { type: "object", properties: {} };
      for (const part of schema.allOf.map((each) => this.#resolve(each)))
        Object.assign(merged.properties!, part.properties);
      return merged;
    }
    return schema;
  }

  #count({ items = {}, minItems = 0, maxItems = DEFAULT_ITEMS }: JsonSchema): number {
    const names = Object.keys(this.#resolve(items).properties ?? {});
    const pool = names.some(isHeadingLike) ? this.#material.headings : this.#fitting();
    return Math.min(Math.max(pool.length, minItems), maxItems);
  }

  /** The sentences that fit the query at least half as well, or so, as the best one does. */
  #fitting(): readonly Sentence[] {
    const { sentences } = this.#material;
    const best = sentences[0]?.score ?? 0;
    return best === 0 ? [] : sentences.filter(({ score }) => score >= best * 0.45);
  }

  #string(name: string, rank: number): string {
    const { query, sentences, headings } = this.#material;
    const sentence = sentences[rank]?.text ?? sentences[0]?.text ?? query;
    const heading = headings[rank]?.text ?? plain(sentence).split(" ").slice(0, 6).join(" ");
    if (/^(?:query|topic|input|search)$/i.test(name)) return query;
    if (/question/i.test(name)) return `On ${query}: what do the documents say about "${heading}"?`;
    if (isHeadingLike(name)) return heading;
    return sentence;
  }

  /** The `rank`-th number in the texts, kept within the schema's limits. */
  #number({ minimum = -Infinity, maximum = Infinity, type }: JsonSchema, rank: number): number {
    const numbers = this.#material.sentences.flatMap(
      ({ text }) => text.match(/\d+(?:\.\d+)?/g) ?? [],
    );
    const raw = Number(numbers[rank] ?? numbers[0] ?? 0);
    const value = Math.min(Math.max(raw, minimum), maximum);
    return type === "integer" ? Math.round(value) : value;
  }

  /** The option whose words occur most often in what fits the query. */
  #choose(options: readonly Json[], rank: number): Json {
    const text = this.#fitting().map((sentence) => sentence.text);
    const words = terms([this.#material.query, ...text].join(" "));
    const hits = options.map((option) => {
      const wanted = new Set(terms(JSON.stringify(option)));
      return words.filter((word) => wanted.has(word)).length;
    });
    const most = Math.max(...hits);
    return (most === 0 ? options[rank % options.length] : options[hits.indexOf(most)]) ?? null;
  }

  /** How much of the query's vocabulary the texts use, from 0 to 1. */
  #covered(): number {
    const wanted = new Set(terms(this.#material.query));
    const used = new Set(this.#material.sentences.flatMap(({ text }) => terms(text)));
    return wanted.size === 0
      ? 0
      : [...wanted].filter((word) => used.has(word)).length / wanted.size;
  }
}

function isHeadingLike(name: string): boolean {
  return /title|heading|name|subject|question/i.test(name);
}

/** The first type that is not null; guessed from the keywords where none is given. */
function typeOf(schema: JsonSchema): string {
  const types = [schema.type ?? []].flat();
  return (
    types.find((type) => type !== "null") ??
    types[0] ??
    (schema.properties ? "object" : schema.items ? "array" : "string")
  );
}
