/** A saver that finds checkpoints in another way, and is the same in all else. */

import type { BaseCheckpointSaver } from "@langchain/langgraph-checkpoint";

type GetTuple = BaseCheckpointSaver["getTuple"];

export function viewOf(saver: BaseCheckpointSaver, getTuple: GetTuple): BaseCheckpointSaver {
  return new Proxy(saver, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (name === "getTuple") return getTuple;
      return typeof member === "function" ? (member as () => unknown).bind(target) : member;
    },
  });
}
