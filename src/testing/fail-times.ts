/** A function that fails its first `n` calls, and from then on does what `fn` does. */
export function failTimes<Args extends unknown[], Result>(
  n: number,
  fn: (...args: Args) => Result | Promise<Result>,
  error: (call: number) => unknown = (call) => new Error(`scripted failure ${call} of ${n}`),
): (...args: Args) => Promise<Result> {
  let calls = 0;
  return async (...args) => {
    calls += 1;
    if (calls <= n) throw error(calls);
    return fn(...args);
  };
}
