/** What a server's trouble looks like: known to pass. */
export function trouble(message = "overloaded"): Error {
  return Object.assign(new Error(message), { status: 503 });
}
