/** Numbers for people. */

export function bytes(count: number): string {
  if (count < 10_000) return `${count.toFixed(0)} B`;
  if (count < 1_000_000) return `${(count / 1000).toFixed(0)} kB`;
  return `${(count / 1_000_000).toFixed(count < 100_000_000 ? 2 : 0)} MB`;
}

export function ms(value: number): string {
  if (value < 0.1) return `${(value * 1000).toFixed(0)} µs`;
  if (value < 100) return `${value.toFixed(2)} ms`;
  return value < 10_000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`;
}

export function ratio(value: number, unit: "" | "x" | "%"): string {
  const digits = value < 10 ? 2 : value < 100 ? 1 : 0;
  return unit === "%" ? `${value.toFixed(0)} %` : `${value.toFixed(digits)}${unit}`;
}
