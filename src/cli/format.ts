/** Numbers, times and ids for people. */

/** `1.2 MB`, in steps of 1024. */
export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = count;
  let unit = -1;
  do {
    value /= 1024;
    unit += 1;
  } while (value >= 1024 && unit < units.length - 1);
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** An ISO instant, to the second. */
export function when(instant: string): string {
  const date = new Date(instant);
  if (Number.isNaN(date.getTime())) return instant;
  return date.toISOString().replace("T", " ").slice(0, 19);
}

/** {@link when} of milliseconds since the epoch. */
export function instant(at: number): string {
  return when(new Date(at).toISOString());
}

/** `1 thread`, `2 threads`. */
export function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

/** Enough of a time-ordered id to tell it from others of its second. */
const SHORT = 18;

/** The beginnings that tell these ids apart, all of one length. */
export function shortIds(ids: readonly string[]): (id: string) => string {
  const all = [...new Set(ids)];
  let length = SHORT;
  while (length < 36 && new Set(all.map((id) => id.slice(0, length))).size < all.length)
    length += 1;
  return (id) => id.slice(0, length);
}
