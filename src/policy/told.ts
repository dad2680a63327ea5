/**
 * What a server says about trying again: `retry-after-ms`, `Retry-After` and `x-should-retry`.
 *
 * Read from the headers that clients hang on their errors, whatever holds them: a `Headers`, a plain
 * object in any case, or the response.
 */

/** Longer waits than a month are nonsense; no timer and no date can do with them. */
const LONGEST_TOLD = 31 * 24 * 3_600_000;

/** A header of the response that an error reports; undefined where there is none. */
export function headerOf(error: object, name: string): string | undefined {
  const { headers, responseHeaders, response } = error as {
    headers?: unknown;
    responseHeaders?: unknown;
    response?: unknown;
  };
  const ofResponse = isObject(response) ? response["headers"] : undefined;
  for (const held of [headers, responseHeaders, ofResponse]) {
    const found = isObject(held) ? lookUp(held, name) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

/** How long the server asks to wait, in milliseconds; undefined where it does not say, or says "now". */
export function toldWait(error: object, now: number): number | undefined {
  const millis = seconds(headerOf(error, "retry-after-ms"));
  if (millis !== undefined) return wait(millis);
  const after = headerOf(error, "retry-after");
  const told = seconds(after);
  if (told !== undefined) return wait(told * 1_000);
  const at = dateOf(after);
  return at === undefined ? undefined : wait(at - now);
}

/** The server's own word on whether the request is worth another try, as OpenAI sends it. */
export function toldToRetry(error: object): boolean | undefined {
  const word = headerOf(error, "x-should-retry")?.trim().toLowerCase();
  return word === "true" ? true : word === "false" ? false : undefined;
}

/** A usable wait: `Retry-After: 0` and dates that are past tell nothing that a curve doesn't. */
export function wait(duration: number): number | undefined {
  return duration > 0 ? Math.min(Math.ceil(duration), LONGEST_TOLD) : undefined;
}

function lookUp(headers: Record<string, unknown>, name: string): string | undefined {
  const { get } = headers;
  const value: unknown =
    typeof get === "function"
      ? (get as (name: string) => unknown).call(headers, name)
      : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  if (typeof first === "number") return String(first);
  return typeof first === "string" ? first : undefined;
}

/** Digits only: `Number` and `Date.parse` take much that is no such header. */
function seconds(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  return /^\d+(\.\d+)?$/.test(trimmed) ? Number(trimmed) : undefined;
}

/** All three formats of HTTP dates; the one without a zone is in GMT like the others. */
function dateOf(text: string | undefined): number | undefined {
  const trimmed = text?.trim() ?? "";
  if (!/^[A-Za-z]{3,9},? /.test(trimmed)) return undefined;
  const at = Date.parse(trimmed.endsWith("GMT") ? trimmed : `${trimmed} GMT`);
  return Number.isNaN(at) ? undefined : at;
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
