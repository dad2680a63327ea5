/**
 * What makes an effect the same one, and the key by which a receiver knows it again.
 *
 * With a business key: the thread (unless it counts once ever), the name and the key. Without one: the
 * task, the arguments, and which of equal calls it is. What an identity is made of must never change:
 * a run that began under one version of holdfast goes on under the next.
 */

import { createHash } from "node:crypto";
import { digestOf } from "../ids.ts";

export interface KeyedCall {
  threadId: string;
  scope: "thread" | "global";
  name: string;
  key: string;
  /** The branch, where it redoes the effects of the branch that it left: its first checkpoint. */
  branch?: string | undefined;
}

export interface UnkeyedCall {
  threadId: string;
  name: string;
  taskId: string;
  /** Of the arguments, independent of the order of their keys. */
  argsHash: string;
  /** How many equal calls the execution made before. */
  occurrence: number;
}

/** 64 hex digits. */
export function identityOf(call: KeyedCall | UnkeyedCall): string {
  if ("key" in call) {
    const { threadId, scope, name, key, branch } = call;
    const branched = branch === undefined ? [] : [branch];
    return scope === "global"
      ? hash("global", name, key)
      : hash("keyed", threadId, name, key, ...branched);
  }
  const { threadId, name, taskId, argsHash, occurrence } = call;
  return hash("unkeyed", threadId, name, taskId, argsHash, String(occurrence));
}

/** Of the undoing of an effect; each generation of one has its own. */
export function undoOf(effect: { identity: string; generation: number }): string {
  return hash("undo", effect.identity, String(effect.generation));
}

/** Of an answered request. */
export function requestOf(key: string): string {
  return hash("request", key);
}

/** 32 hex digits: what is sent to receivers. Another generation is another effect to them. */
export function idempotencyKeyOf(identity: string, generation: number): string {
  return digestOf("effect", identity, String(generation));
}

/** 32 hex digits: the id of a question to a person about an effect; each unknown try has its own. */
export function questionIdOf(kind: string, idempotencyKey: string, attempts: number): string {
  return digestOf(kind, idempotencyKey, String(attempts));
}

function hash(...parts: string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
