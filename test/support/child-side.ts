/** The other end of `child.ts`, for the scripts in `children/`. */

import { once } from "node:events";
import type { Message } from "./child.ts";

export function say(type: string, content: Record<string, unknown> = {}): void {
  process.send?.({ type, ...content });
}

/** The next message from the test. */
export async function hear(): Promise<Message> {
  const [message] = (await once(process, "message")) as [Message];
  return message;
}

export function describeError(error: unknown): { name: string; code: unknown; message: string } {
  const { name, message, code } = error as Error & { code?: unknown };
  return { name, code, message };
}
