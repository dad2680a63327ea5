/**
 * What nodes write: pure functions of a seed and of the state that the node sees. JSON-safe, since
 * the oracle's serializer keeps nothing else (`Date` and the like have tests of their own).
 */

import {
  AIMessage,
  type AIMessageFields,
  HumanMessage,
  RemoveMessage,
  SystemMessage,
  ToolMessage,
  type BaseMessage,
} from "@langchain/core/messages";
import type { ChannelKind } from "./case.ts";
import { unordered, type Files, type Items, type Tree } from "./channels.ts";
import { hash, pick, text } from "./random.ts";

/** Who writes: parallel writers must not write under the same key of a delta channel. */
export interface Writer {
  /** Differs between all tasks that may run in one superstep. */
  name: string;
  /** True if this message of the state is this writer's to replace or to remove. */
  owns(id: string): boolean;
}

/** A value to write to a channel of this kind. */
export function valueFor(
  kind: ChannelKind,
  seed: number,
  current: unknown,
  writer: Writer,
): unknown {
  switch (kind) {
    case "last":
      return anything(seed);
    case "append":
    case "appendInPlace":
      return items(seed, writer);
    case "merge":
    case "mergeInPlace":
      return files(seed);
    case "sum":
      return (seed % 9) - 2;
    case "nested":
    case "nestedInPlace":
      return tree(seed, 0);
    case "messages":
      return messages(seed, (current ?? []) as BaseMessage[], writer, true);
    case "text":
      return pick([text(seed, 12), text(seed, 700), text(seed, 2_600)], seed >>> 3);
    case "deltaAppend":
      return items(seed, writer);
    case "deltaMerge":
      return { [`${writer.name}/${seed % 5}`]: anything(hash(seed, "delta")) };
    case "deltaMessages":
      return messages(seed, unordered(current ?? []) as BaseMessage[], writer, false);
  }
}

function anything(seed: number): unknown {
  const inner = hash(seed, "anything");
  switch (seed % 11) {
    case 0:
      return seed % 1_000;
    case 1:
      return text(inner, inner % 40);
    case 2:
      return text(inner, 2_048 + (inner % 3_000));
    case 3:
      return { kind: "object", n: inner % 50, list: [1, "two", { three: [3] }] };
    case 4:
      return [text(inner, 5), { deep: { deeper: inner % 7 } }];
    case 5:
      return null;
    case 6:
      return inner % 2 === 0;
    case 7:
      return { absent: undefined, list: [undefined, 1], empty: {}, none: [] };
    case 8:
      return inner / 7;
    case 9:
      // Looks like the encodings that serializers use for their own ends.
      return { lc: 2, type: "plain", $: "u", v: [inner % 3], __proto_: 1 };
    default:
      return "";
  }
}

function items(seed: number, writer: Writer): Items {
  const count = 1 + (seed % 3);
  return Array.from({ length: count }, (_, i) => {
    const inner = hash(seed, "item", i);
    return inner % 4 === 0
      ? anything(inner)
      : {
          id: `${writer.name}#${inner % 10_000}`,
          body: text(inner, pick([8, 90, 2_300], inner >>> 4)),
          tags: [i, inner % 3],
        };
  });
}

function files(seed: number): Files {
  const out: Files = {};
  for (let i = 0; i <= seed % 3; i += 1) {
    const inner = hash(seed, "file", i);
    const name = pick(["a.md", "b.md", "dir/c.md", "__proto", "d e.txt", "7", "é"], inner);
    out[name] =
      inner % 6 === 0
        ? null
        : inner % 3 === 0
          ? { lines: [text(inner, 20)], size: inner % 99 }
          : text(inner, pick([30, 900, 3_000], inner >>> 5));
  }
  return out;
}

function tree(seed: number, depth: number): Tree {
  const inner = hash(seed, "tree", depth);
  const key = pick(["x", "y", "z"], inner);
  if (depth >= 2) return { [key]: inner % 100, [`${key}s`]: [inner % 5, text(inner, 6)] };
  return inner % 5 === 0 ? { [key]: text(inner, 2_100) } : { [key]: tree(inner, depth + 1) };
}

function messages(
  seed: number,
  current: BaseMessage[],
  writer: Writer,
  known: boolean,
): BaseMessage[] {
  const owned = current.filter((message) => message.id !== undefined && writer.owns(message.id));
  if (owned.length > 0 && seed % 4 === 0)
    return [new RemoveMessage({ id: pick(owned, seed >>> 2).id as string })];
  if (owned.length > 0 && seed % 4 === 1)
    return [message(seed, pick(owned, seed >>> 2).id as string)];
  if (known && current.length > 3 && seed % 29 === 5) {
    return [
      new RemoveMessage({ id: "__remove_all__" }),
      message(seed, `${writer.name}/${seed % 100_000}`),
    ];
  }
  return Array.from({ length: 1 + (seed % 2) }, (_, i) =>
    message(hash(seed, i), `${writer.name}/${hash(seed, i) % 100_000}`),
  );
}

function message(seed: number, id: string): BaseMessage {
  const content = text(seed, pick([15, 300, 2_200], seed >>> 3));
  switch (seed % 6) {
    case 0:
    case 1:
      return new HumanMessage({ id, content });
    case 2:
      return new AIMessage({
        id,
        content,
        tool_calls: [
          {
            id: `call-${seed % 97}`,
            name: "search",
            args: { q: text(seed, 9), n: seed % 5 },
            type: "tool_call",
          },
        ],
        usage_metadata: {
          input_tokens: seed % 500,
          output_tokens: seed % 70,
          total_tokens: (seed % 500) + (seed % 70),
        },
        response_metadata: { model: "m", finish_reason: "tool_calls" },
      } as unknown as AIMessageFields);
    case 3:
      return new ToolMessage({
        id,
        content,
        tool_call_id: `call-${seed % 97}`,
        name: "search",
        status: "success",
        artifact: { rows: [seed % 3] },
      });
    case 4:
      return new AIMessage({
        id,
        content: [
          { type: "text", text: content },
          {
            type: "image_url",
            image_url: { url: `data:image/png;base64,${"QUJD".repeat(seed % 40)}` },
          },
        ],
        additional_kwargs: { refusal: null, nested: { a: [1] } },
      });
    default:
      return new SystemMessage({ id, content, name: "sys" });
  }
}
