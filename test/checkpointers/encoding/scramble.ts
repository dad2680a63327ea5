/** Changes a value in place, everywhere: to find what still hangs on to it. */

import { partsOf } from "./same.ts";

export function scramble(value: unknown, seen = new Set<unknown>()): void {
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  seen.add(value);
  for (const part of partsOf(value)) scramble(part, seen);
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = 255 - (bytes[i] ?? 0);
  } else if (value instanceof ArrayBuffer) {
    scramble(new Uint8Array(value), seen);
  } else if (value instanceof Date) {
    value.setTime(1);
  } else if (value instanceof Map) {
    value.set("scrambled", 1);
  } else if (value instanceof Set) {
    value.add("scrambled");
  } else if (Array.isArray(value)) {
    value.reverse();
    value.push("scrambled");
  } else {
    if (value instanceof Error) value.message += "scrambled";
    for (const key of Object.keys(value)) {
      if (typeof (value as Record<string, unknown>)[key] === "string") {
        Object.defineProperty(value, key, { value: "scrambled" });
      }
    }
    Object.defineProperty(value, "scrambled", { value: 1, enumerable: true, configurable: true });
  }
}
