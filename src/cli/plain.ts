/** State as plain JSON: what a reader or a script can use, not what a saver would store. */

/** The parts of a LangChain message that are worth showing. */
interface MessageLike {
  content: unknown;
  getType(): string;
  id?: string;
  name?: string;
  tool_calls?: unknown[];
  tool_call_id?: string;
  usage_metadata?: unknown;
}

export function isMessage(value: unknown): value is MessageLike {
  return (
    typeof value === "object" &&
    value !== null &&
    "content" in value &&
    "getType" in value &&
    typeof value.getType === "function"
  );
}

/** A copy that `JSON.stringify` shows faithfully enough to read; never throws on stored state. */
export function toPlain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value === "function" || typeof value === "symbol") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) {
    return Number.isNaN(value.getTime()) ? "Invalid Date" : value.toISOString();
  }
  if (value instanceof Error) return errorToPlain(value);
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<unknown>, toPlain);
  if (value instanceof Map) return mapToPlain(value);
  if (value instanceof Set || Array.isArray(value)) return Array.from(value, toPlain);
  if (isMessage(value)) return messageToPlain(value);
  // A Proxy-free copy without a prototype: "__proto__" is a key like any other.
  const copy = Object.create(null) as Record<string, unknown>;
  for (const [key, item] of Object.entries(value)) copy[key] = toPlain(item);
  return copy;
}

function errorToPlain(error: Error): Record<string, unknown> {
  const { name, message, cause } = error;
  return { name, message, ...(cause === undefined ? {} : { cause: toPlain(cause) }) };
}

function mapToPlain(map: Map<unknown, unknown>): unknown {
  const entries = [...map];
  if (entries.every(([key]) => typeof key === "string")) {
    return toPlain(Object.fromEntries(entries as [string, unknown][]));
  }
  return entries.map(toPlain);
}

function messageToPlain(message: MessageLike): Record<string, unknown> {
  const { id, name, tool_calls: calls, tool_call_id: callId, usage_metadata: usage } = message;
  return {
    type: message.getType(),
    content: toPlain(message.content),
    ...(id === undefined ? {} : { id }),
    ...(name === undefined ? {} : { name }),
    ...(calls === undefined || calls.length === 0 ? {} : { tool_calls: toPlain(calls) }),
    ...(callId === undefined ? {} : { tool_call_id: callId }),
    ...(usage === undefined ? {} : { usage_metadata: toPlain(usage) }),
  };
}
